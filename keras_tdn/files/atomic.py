"""Atomic writes: files and folders that are whole or absent, whenever power or a process ends."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
# What `tempfile` puts in between.
_RANDOM_PART = re.compile(r"[a-z0-9_]+")
_OLD, _NEW = "old", "new"
# Names of files have 255 bytes at most; beyond this there is no room for what is added to them.
_LONGEST_NAME = 200


def check_free(path: Path, overwrite: bool) -> None:
    """Raises if something is at `path` that may not be replaced."""
    restore_replaced(path)
    if os.path.lexists(path) and not overwrite:
        raise ValueError(
            f"{str(path)!r} exists. Choose another place, or pass overwrite=True (on the command "
            "line --overwrite) to replace it."
        )


def remove_leftovers(path: Path) -> None:
    """Removes what `written_beside` left next to `path` in a kill; restores a folder as below."""
    restore_replaced(path)
    for leftover in _leftovers(path):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def written_beside(path: Path, named: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """A path in a new folder next to `path`, renamed to `path` if the block succeeds.

    It has the same file name, because some writers insist on endings, or the one that `named` gives
    to the finished file. What was at `path` stays there until the result is whole, also after a
    power cut. A folder cannot be replaced in one step: `restore_replaced`, `check_free` and
    `remove_leftovers` bring back one that a kill left half replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=_prefix(path), suffix=TEMPORARY_SUFFIX, dir=path.parent)
    workplace = Path(folder)
    try:
        # In a folder of its own, because it may be called "old".
        result = workplace / _NEW / path.name
        result.parent.mkdir()
        yield result
        final = path if named is None else path.with_name(named(result))
        if final.is_dir() and not result.is_dir():
            problem = "is a folder, and a file was to be written there. Choose another place."
            raise ValueError(f"{str(final)!r} {problem}")
        _sync(result)
        if final.is_dir():
            os.replace(final, workplace / _OLD)
        os.replace(result, final)
        _sync_folder(final.parent)
    finally:
        # If this does not succeed either, the old folder stays where it is found again.
        _put_back(workplace, path)
        shutil.rmtree(workplace, ignore_errors=True)


def write_beside(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file, which is replaced as a whole or not at all."""
    with written_beside(Path(path)) as new:
        new.write_bytes(content)


def _put_back(workplace: Path, path: Path) -> None:
    """Renames what was moved out of the way back to `path`, unless something has come there."""
    old = workplace / _OLD
    if os.path.lexists(old) and not os.path.lexists(path):
        os.replace(old, path)


def restore_replaced(path: Path) -> None:
    """Brings back a folder that a kill left half replaced, before it is taken for missing."""
    if not os.path.lexists(path):
        for leftover in _leftovers(path):
            _put_back(leftover, path)


def _leftovers(path: Path) -> list[Path]:
    """Folders that `written_beside` made next to `path`, the newest first."""
    prefix = _prefix(path)
    found = []
    with contextlib.suppress(OSError):
        for place in path.parent.glob(f"{glob.escape(prefix)}*{TEMPORARY_SUFFIX}"):
            # Not those of a file that is called alike with an ending more.
            if _RANDOM_PART.fullmatch(place.name[len(prefix) : -len(TEMPORARY_SUFFIX)]):
                # Another process may remove it meanwhile.
                with contextlib.suppress(OSError):
                    found.append((place.stat().st_mtime, place))
    return [leftover for _, leftover in sorted(found, reverse=True)]


def _prefix(path: Path) -> str:
    encoded = os.fsencode(path.name)
    if len(encoded) <= _LONGEST_NAME:
        return f".{path.name}."
    return f".{hashlib.sha256(encoded).hexdigest()}."


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_in_place(temporary: Path, final: Path) -> None:
    """Renames a file that is complete; what was written is on the disk before its name is."""
    _sync(temporary)
    os.replace(temporary, final)
    _sync_folder(final.parent)


def write_whole(path: Path, content: bytes, temporary: Path) -> None:
    """Writes a file by way of `temporary`, a path on the same disk."""
    temporary.write_bytes(content)
    put_in_place(temporary, path)


def _sync(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        # A file that its writer has made read-only cannot be waited for everywhere.
        if file.is_file():
            with contextlib.suppress(PermissionError), open(file, "rb+") as opened:
                os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders, and needs no such thing; some network disks cannot wait for them.
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise
        finally:
            os.close(handle)
