"""Scores on the disk as they come, so that a killed evaluation goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from keras_tdn.files.beside import written_beside
from keras_tdn.files.locks import locked

TITLE = b"keras_tdn score log 1\n"
# Number of the first view, views, bytes of failures, checksum of all that follows and of these.
ENTRY = struct.Struct("<QIII")
SCORE_BYTES = 4
DOING = "evaluating"
GO_ON = "go on with resume=True (on the command line --resume)"


class ScoreLog:
    """Scores of views in order, appended batch by batch to a file.

    The file begins with what the scores belong to. Each entry says which view it begins with and
    has a checksum, and is on the disk before the next is computed. On opening, entries count up to
    the first that is cut short, damaged or out of order; the rest is dropped and computed again. So
    each view is in it exactly once, whenever the process was killed.

    Use it as a context manager; it is locked against other processes meanwhile.

    Args:
        path: Path of the file, or `None` to keep nothing on the disk.
        identity: What the scores belong to, of values that JSON can hold. A file that says
            something else is refused.
        num_views: Views in all.
        classes: Scores per view.
        resume: Whether to go on with a file that is there.
        go_on: How a user goes on after a full disk, for the error that tells of it.

    Raises:
        ValueError: if the file belongs to something else, is no such log, or is in use.
    """

    def __init__(
        self,
        path: Path | None,
        identity: Mapping[str, Any],
        num_views: int,
        classes: int,
        resume: bool = False,
        go_on: str = GO_ON,
    ) -> None:
        self.path = path
        self.scores = np.full((num_views, classes), np.nan, np.float32)
        self.num_done = 0
        self.failures: dict[int, str] = {}
        self._identity = identity
        self._resume = resume
        self._go_on = go_on
        self._file: BinaryIO | None = None
        self._held = contextlib.ExitStack()

    def __enter__(self) -> ScoreLog:
        if self.path is None:
            return self
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.path.parent, DOING))
            with explained(self.path, self._go_on):
                if not (self._resume and self.path.exists()):
                    self._begin(self.path)
                self._file = stack.enter_context(open(self.path, "r+b"))
            self._read(self._file)
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What could not be written is told where it was tried.
        with contextlib.suppress(OSError):
            self._held.close()

    def append(self, scores: np.ndarray, failures: Mapping[int, str]) -> None:
        """Takes the scores of the next views, and writes them down.

        Args:
            scores: float32 of shape `(views, classes)`, NaN where a record has failed.
            failures: Reasons by row of the records that failed among these views.

        Raises:
            OSError: if they cannot be written, for example because the disk is full.
        """
        first, stop = self.num_done, self.num_done + len(scores)
        if self._file is not None:
            told = json.dumps({str(row): reason for row, reason in failures.items()}).encode()
            content = told + np.ascontiguousarray(scores, "<f4").tobytes()
            numbers = (first, len(scores), len(told))
            entry = ENTRY.pack(*numbers, _checksum(numbers, content)) + content
            with explained(self.path, self._go_on):
                self._file.write(entry)
                self._file.flush()
                os.fsync(self._file.fileno())
        self.scores[first:stop] = scores
        self.failures.update(failures)
        self.num_done = stop

    def _begin(self, path: Path) -> None:
        header = json.dumps(self._identity, sort_keys=True).encode()
        with written_beside(path) as temporary:
            temporary.write_bytes(TITLE + header + b"\n")

    def _read(self, file: BinaryIO) -> None:
        if file.readline(len(TITLE)) != TITLE:
            raise ValueError(
                f"{str(self.path)!r} is no score log of this version. Choose another folder, or "
                "pass overwrite=True (on the command line --overwrite) to begin anew."
            )
        try:
            identity = json.loads(file.readline())
        except (ValueError, RecursionError):
            identity = {}
        check_identity(identity, self._identity, str(self.path))
        end = file.tell()
        for scores, failures in self._entries(file):
            self.scores[self.num_done : self.num_done + len(scores)] = scores
            self.failures.update(failures)
            self.num_done += len(scores)
            end = file.tell()
        # What follows the last whole entry is half of one, or damage.
        file.truncate(end)
        file.seek(end)

    def _entries(self, file: BinaryIO) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
        num_views, classes = self.scores.shape
        while len(header := file.read(ENTRY.size)) == ENTRY.size:
            first, count, num_told, checksum = ENTRY.unpack(header)
            num_bytes = count * classes * SCORE_BYTES
            if first != self.num_done or not 0 < count <= num_views - first:
                return
            content = file.read(num_told + num_bytes)
            if len(content) != num_told + num_bytes:
                return
            if _checksum((first, count, num_told), content) != checksum:
                return
            scores = np.frombuffer(content[num_told:], "<f4").reshape(count, classes)
            told = json.loads(content[:num_told])
            yield scores, {int(row): reason for row, reason in told.items()}


def check_identity(
    found: Mapping[str, Any], wanted: Mapping[str, Any], where: str, of: str = "evaluation"
) -> None:
    """Raises a `ValueError` that names what differs, if anything does."""
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    differing += [name for name in found if name not in wanted]
    if differing:
        raise ValueError(
            f"The scores in {where!r} are of another {of}: {', '.join(differing)} differ. "
            "Go on with the arguments that it was begun with, choose another folder, or pass "
            "overwrite=True (on the command line --overwrite) to begin anew."
        )


def _checksum(numbers: tuple[int, int, int], content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(ENTRY.pack(*numbers, 0)))


@contextlib.contextmanager
def explained(path: Path | None, go_on: str = GO_ON) -> Iterator[None]:
    """Adds to errors of writing what is left to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}; {str(path)!r} cannot be written. The scores so far are safe: make "
            f"room and {go_on}",
        ) from error
