"""The folder of a demo: looked at before any time is spent, and never half written."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE_FILE = "index.html"
UNFINISHED = ".unfinished-"
# Videos take half of it.
NEEDED_BYTES = 150_000_000
MEGABYTE = 1e6


@contextlib.contextmanager
def demo_folder(output: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to work in; what is in it comes to `output` if the block succeeds, else goes away.

    It lies inside `output`, because that may be the root of a disk, which nothing can be renamed
    to.

    Args:
        output: A folder that is empty or not there yet.

    Raises:
        ValueError: if it is something else, or cannot be written to.
    """
    folder = Path(os.path.abspath(output))
    _check_free(folder)
    made = _make(folder)
    moved: list[Path] = []
    try:
        with _workplace(folder) as place:
            yield place
            # The page last: where it is, all is.
            for entry in sorted(place.iterdir(), key=lambda entry: entry.name == PAGE_FILE):
                moved.append(folder / entry.name)
                os.replace(entry, moved[-1])
    except BaseException:
        # Nothing else was in the folder. A demo that is whole stays.
        for entry in moved if not (folder / PAGE_FILE).exists() else ():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _check_free(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(
            f"{str(folder)!r} is there already and is not a folder. Choose another place with "
            "--output."
        )
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise ValueError(_unusable(folder, error)) from error
    if PAGE_FILE in names:
        raise ValueError(
            f"{str(folder)!r} has a finished demo: open {str(folder / PAGE_FILE)!r}. To run it "
            "again, choose another folder with --output, or delete this one."
        )
    left = [name for name in names if name.startswith(UNFINISHED)]
    if left:
        raise ValueError(
            f"In {str(folder)!r} another demo is running, or one was killed and left {left[0]!r}. "
            "Choose another folder with --output, or, if none is running, delete this one."
        )
    if names:
        raise ValueError(
            f"{str(folder)!r} is not empty: it has {names[0]!r}. The demo wants a folder of its "
            "own; choose another with --output."
        )


def _make(folder: Path) -> list[Path]:
    """Makes the folder; those that were missing on the way to it, innermost first."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(_unusable(folder, error)) from error
    return missing


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    try:
        place = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
    except OSError as error:
        raise ValueError(_unusable(folder, error)) from error
    try:
        free = shutil.disk_usage(place).free
        if free < NEEDED_BYTES:
            raise ValueError(
                f"The demo needs {NEEDED_BYTES / MEGABYTE:.0f} MB, and on the disk of "
                f"{str(folder)!r} {free / MEGABYTE:.0f} MB are free. Choose another place with "
                "--output."
            )
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unusable(folder: Path, error: OSError) -> str:
    return (
        f"The demo cannot write to {str(folder)!r}: {error.strerror or error}. Choose another "
        "place with --output."
    )
