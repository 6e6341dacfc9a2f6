"""Whose files are whose: what a visitor of the page may have opened, and how much is stored."""

from __future__ import annotations

import collections
import os
import stat
import threading
from collections.abc import Sequence

# Of visitors and of their tabs. Those not seen for longest are forgotten first.
MAX_REMEMBERED = 4096
# What a file counts at least, so that there cannot be too many either.
LEAST_BYTES = 2**16


class Visitors:
    """Remembers which files the server itself named to which visitor.

    A path from a browser is compared with those, as it is, and nothing else is done with it: so
    neither `..` nor a link nor an address leads anywhere, and no answer tells which files exist.

    Args:
        folder: Where uploads are.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)
        self._files: collections.OrderedDict[str, set[str]] = collections.OrderedDict()
        self._sessions: collections.OrderedDict[str, str] = collections.OrderedDict()
        self._shared: set[str] = set()
        # Examples are rendered in threads.
        self._lock = threading.Lock()

    def add_files(self, visitor: str, paths: Sequence[str]) -> None:
        """Lets a visitor use files that the server has just stored for it.

        Raises:
            ValueError: if one is not a regular file in the folder.
        """
        for path in paths:
            inside = os.path.realpath(path) == path and path.startswith(self._folder + os.sep)
            if not inside or not _is_regular(path):
                raise ValueError(f"{path!r} is not a file in the folder of uploads.")
        with self._lock:
            before = self._files.get(visitor, ())
            self._files[visitor] = {*paths, *filter(os.path.lexists, before)}
            self._files.move_to_end(visitor)
            while len(self._files) > MAX_REMEMBERED:
                self._files.popitem(last=False)

    def share(self, path: str) -> None:
        """Lets every visitor use a file that the page itself has made."""
        with self._lock:
            self._shared = {path, *filter(os.path.lexists, self._shared)}

    def may_use(self, visitor: str, path: str) -> bool:
        """Whether a path is that of one of its files, which is still there."""
        with self._lock:
            known = path in self._shared or path in self._files.get(visitor, ())
        return known and _is_regular(path)

    def may_follow(self, visitor: str, session: str) -> bool:
        """Whether a session of the page is this visitor's; a new one becomes so."""
        with self._lock:
            owner = self._sessions.setdefault(session, visitor)
            self._sessions.move_to_end(session)
            while len(self._sessions) > MAX_REMEMBERED:
                self._sessions.popitem(last=False)
        return owner == visitor

    def stored_bytes(self) -> int:
        """How much is in the folder; small files count as some kilobytes."""
        total = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                # Others may remove them too.
                try:
                    size = os.lstat(os.path.join(folder, name)).st_size
                except OSError:
                    continue
                total += max(size, LEAST_BYTES)
        return total


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
