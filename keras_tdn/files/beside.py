"""Writing files and folders beside their place and renaming them into it."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def check_free(path: Path, overwrite: bool) -> None:
    """Raises if something is at `path` that may not be replaced."""
    if os.path.lexists(path) and not overwrite:
        raise ValueError(
            f"{str(path)!r} exists. Choose another place, or pass overwrite=True (on the command "
            "line --overwrite) to replace it."
        )


def remove_leftovers(path: Path) -> None:
    """Removes what `written_beside` left next to `path` when the process was killed."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def written_beside(path: Path, suffix: str = "") -> Iterator[Path]:
    """A path in a new folder next to `path`, renamed to `path` if the block succeeds.

    A reader never sees half of the result, and a failure leaves `path` as it was.

    Args:
        path: Where the result belongs: a file, or a folder.
        suffix: Ending that the file's writer insists on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(
        tempfile.mkdtemp(prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX, dir=path.parent)
    )
    try:
        result = workplace / f"new{suffix}"
        yield result
        if path.is_dir():
            # A folder that is not empty cannot be replaced in one step.
            os.replace(path, workplace / "old")
        os.replace(result, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
