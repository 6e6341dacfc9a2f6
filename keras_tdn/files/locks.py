"""A lock against another process at the same output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

# A killed process leaves it behind, unlocked and empty.
LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str], doing: str = "packing") -> Iterator[None]:
    """Holds a folder, made if needed, for one process; the system unlocks it however that ends.

    An error tells another process what this one is `doing`.
    """
    path = Path(folder) / LOCK_FILE
    # Whichever thread ends the block unlocks.
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"Another process is {doing} into {str(folder)!r}. Wait for it, or choose another "
            "folder."
        ) from error
    except OSError:
        # Some network drives cannot lock; it works there without.
        yield
        return
    try:
        yield
    finally:
        # While it is held: a process that opened the file before locks no file with a name, and
        # filelock lets it try again. Windows removes it on release.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
