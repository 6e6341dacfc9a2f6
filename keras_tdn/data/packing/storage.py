"""Files that are whole or absent, also after a power cut."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; two runs at a time are not noticed there.
    fcntl = None  # type: ignore[assignment]


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_in_place(temporary: Path, final: Path) -> None:
    """Renames a file that is complete; what was written is on the disk before its name is."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, final)
    _sync_folder(final.parent)


def write_whole(path: Path, content: bytes, temporary: Path) -> None:
    """Writes a file by way of `temporary`, on the same disk."""
    temporary.write_bytes(content)
    put_in_place(temporary, path)


@contextlib.contextmanager
def locked(folder: Path, doing: str = "packing") -> Iterator[None]:
    """Holds a folder for one process; the system lets go of it however the process ends.

    Args:
        folder: The folder.
        doing: What is done to it, for the error.

    Raises:
        ValueError: if another process holds it.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
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
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders, and needs no such thing.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
