"""Files that are whole or absent, and on the disk before they have their names."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from keras_tdn.files.beside import remove_leftovers
from keras_tdn.files.storage import put_in_place

# Beside what is finished, on the same disk.
WORKPLACE = ".unfinished"
# How h5py begins a RuntimeError, which it raises when a full disk comes to light as it closes a
# file.
HDF5_ERRORS = ("Can't ", "Unable to ")


@contextlib.contextmanager
def failures_to_write_in_words(path: Path) -> Iterator[None]:
    """Within the block, errors of the system and of h5py say what could not be written.

    Raises:
        OSError: if something cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(HDF5_ERRORS):
            raise
        raise OSError(
            f"{str(path)!r} could not be written ({_reason(error)}). What was there before is "
            "kept. Make room, or make the folder writable, and go on with resume=True (on the "
            "command line --resume)."
        ) from error


@contextlib.contextmanager
def written_durably(path: Path, named: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """A path to write a file to, which replaces the one at `path` when the block is through.

    It has the same file name, because some writers insist on endings, in a folder that may be
    littered.

    Args:
        path: Where the file belongs; its folder is made if needed.
        named: Called with the finished file, gives another name for it.

    Raises:
        OSError: if it cannot be written; what was there before still is.
    """
    workplace = path.parent / WORKPLACE
    new = workplace / path.name
    try:
        with failures_to_write_in_words(path):
            workplace.mkdir(parents=True, exist_ok=True)
            yield new
            put_in_place(new, path if named is None else path.with_name(named(new)))
    finally:
        # A full disk has its room back.
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
            workplace.rmdir()


def remove_unfinished(folder: Path, folders: Iterable[str] = ()) -> None:
    """Removes what killed processes left half written in a folder, and nothing of others.

    Args:
        folder: Where files were written by `written_durably`.
        folders: Names of folders that were written beside their places in it.
    """
    shutil.rmtree(folder / WORKPLACE, ignore_errors=True)
    for name in folders:
        remove_leftovers(folder / name)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
