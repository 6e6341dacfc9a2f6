"""Which of the listed files are there."""

from __future__ import annotations

import os
from pathlib import Path


class FileFinder:
    """Looks for files below a root.

    Lists name hundreds of thousands of files in few folders, often on a network drive: each folder
    is listed once instead of asking for every file.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.path.expanduser(root))
        self._folders: dict[str, frozenset[str] | None] = {}

    def absolute(self, path: str) -> str:
        """The absolute path of `path`, which starts at the root unless it is absolute."""
        return os.path.normpath(os.path.join(self.root, os.path.expanduser(path)))

    def first(self, paths: tuple[str, ...]) -> str:
        """The absolute path of the likeliest of `paths`, without looking."""
        return self.absolute(paths[0])

    def find(self, paths: tuple[str, ...]) -> str | None:
        """The absolute path of the first of `paths` where there is something."""
        for path in paths:
            absolute = self.absolute(path)
            folder, name = os.path.split(absolute)
            if folder not in self._folders:
                self._folders[folder] = _names(folder)
            names = self._folders[folder]
            # What may be entered but not listed has to be asked for.
            if os.path.exists(absolute) if names is None else name in names:
                return absolute
        return None


def _names(folder: str) -> frozenset[str] | None:
    try:
        with os.scandir(folder) as entries:
            return frozenset(
                entry.name
                for entry in entries
                # A link may point to nothing.
                if not entry.is_symlink() or Path(entry.path).exists()
            )
    # A path that no file can have, as with a null character, is a `ValueError`.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return frozenset()
    except OSError:
        return None
