"""Where an export goes, checked before any time is spent."""

from __future__ import annotations

import os
import re
from pathlib import Path

# TensorFlow Serving reads a version as an int64 and serves the greatest.
VERSION = re.compile(r"[1-9][0-9]{0,17}")


def check_version_folder(path: str | os.PathLike[str]) -> Path:
    """The path of a version of a served model, such as `exported/tdn/1`.

    Args:
        path: Where the version is to be written; nothing may be there.

    Returns:
        The path.

    Raises:
        ValueError: if its name is no version number, if something is there, or if it could not be
            written.
    """
    path = Path(path)
    if VERSION.fullmatch(path.name) is None:
        raise ValueError(
            "TensorFlow Serving finds a model's versions by their number, so that the last part of "
            f"the path is a positive integer: {str(path / '1')!r}. Received: {str(path)!r}"
        )
    if os.path.lexists(path):
        raise ValueError(
            f"{str(path)!r} exists, and a version that a server may have loaded is not changed. "
            f"Write the next one, {str(path.parent / _next_version(path))!r}, or delete this one."
        )
    _check_writable(path)
    return path


def _next_version(path: Path) -> str:
    versions = [int(entry.name) for entry in path.parent.iterdir() if VERSION.fullmatch(entry.name)]
    return str(max(versions, default=0) + 1)


def _check_writable(path: Path) -> None:
    existing = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not existing.is_dir():
        raise ValueError(
            f"{str(path)!r} cannot be written, because {str(existing)!r} is not a folder. Choose "
            "another place."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f"{str(path)!r} cannot be written, because {str(existing)!r} may not be written to. "
            "Choose another place, or change its permissions."
        )
