"""Locks against another process at the same output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; two runs at a time are not noticed there.
    fcntl = None  # type: ignore[assignment]


def lock(handle: int, folder: Path, doing: str) -> None:
    """Locks an open file or folder; the system lets go of it however the process ends.

    Args:
        handle: Its file descriptor; closing it unlocks.
        folder: The output, for the error.
        doing: What is done to it, for the error.

    Raises:
        ValueError: if another process holds it.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"Another process is {doing} into {str(folder)!r}. Wait for it, or choose another "
            "folder."
        ) from error
    except OSError:
        # Some network drives cannot lock; it works there without.
        pass


@contextlib.contextmanager
def locked_file(path: Path, doing: str) -> Iterator[None]:
    """Holds the folder of a file, if the file is there, while the block runs.

    Args:
        path: The file, which whoever works in the folder has locked.
        doing: What is done to the folder, for the error.

    Raises:
        ValueError: if another process holds it.
    """
    # Windows cannot remove a file that is open.
    if fcntl is None or not path.exists():
        yield
        return
    with open(path, "r+b") as file:
        lock(file.fileno(), path.parent, doing)
        yield


@contextlib.contextmanager
def locked(folder: Path, doing: str = "packing") -> Iterator[None]:
    """Holds a folder for one process while the block runs.

    Args:
        folder: The folder.
        doing: What is done to it, for the error.

    Raises:
        ValueError: if another process holds it.
    """
    if fcntl is None:
        # Windows cannot open folders either.
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle, folder, doing)
        yield
    finally:
        os.close(handle)
