"""Files that are whole or absent, also after a power cut."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


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


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders, and needs no such thing.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
