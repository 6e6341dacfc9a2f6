"""Scores of windows on the disk as they come, so that a killed run goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from keras_tdn.files.beside import written_beside
from keras_tdn.watching.report import WatchReport
from keras_tdn.watching.timeline_lines import (
    FORMAT,
    MAX_LINE_BYTES,
    make_line,
    parse_line,
    read_entries,
)
from keras_tdn.watching.window import Window

# Whoever kills the process loses nothing that was written; a power cut loses less than this.
SYNC_SECONDS = 1.0
FOLDER_VERB = "watching"


class TimelineLog:
    """Windows as JSON lines, appended one by one to a file.

    The first line tells what the scores are of; then comes a line for each window, and one more at
    the end, all with a checksum. On opening, lines count up to the first that is cut short or
    damaged; the rest is dropped and scored again.

    Use it as a context manager, in a folder that is held meanwhile by `files.locks.locked`.

    Args:
        path: Path of the file.
        identity: What the scores are of, of values that JSON can hold. A file that says something
            else is refused.
        classes: Scores per window.
        resume: Whether to go on with a file that is there.

    Raises:
        ValueError: if the file is of something else, or is no such log.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], classes: int, resume: bool = False
    ) -> None:
        self.path = path
        self.num_windows = 0
        self.next_window = 0
        self.report: WatchReport | None = None
        self._identity = json.loads(json.dumps({"format": FORMAT, **identity}))
        self._classes = classes
        self._resume = resume
        self._file: BinaryIO
        self._synced = -math.inf

    def __enter__(self) -> TimelineLog:
        with _explained(self.path):
            if not (self._resume and self.path.exists()):
                with written_beside(self.path) as temporary:
                    temporary.write_bytes(make_line(self._identity))
            self._file = open(self.path, "r+b")
        try:
            end = self._read()
            # What follows the last whole line is half of one, or damage.
            self._file.truncate(end)
            self._file.seek(end)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, window: Window) -> None:
        """Writes a window down."""
        self._write(
            {
                "window": window.index,
                "start": window.start,
                "end": window.end,
                # The shortest text that gives the same float32 again.
                "scores": [float(str(score)) for score in window.scores],
            }
        )
        self.num_windows += 1
        self.next_window = window.index + 1

    def finish(self, report: WatchReport) -> None:
        """Writes down that there is nothing more to come."""
        report = dataclasses.replace(report, num_windows=self.num_windows)
        self._write({"finished": dataclasses.asdict(report)})
        os.fsync(self._file.fileno())
        self.report = report

    def _write(self, values: Mapping[str, Any]) -> None:
        with _explained(self.path):
            self._file.write(make_line(values))
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def _read(self) -> int:
        header = parse_line(self._file.readline(MAX_LINE_BYTES))
        if header is None or header.get("format") != FORMAT:
            raise ValueError(
                f"{str(self.path)!r} is no timeline of this version. Choose another folder, or "
                "pass overwrite=True (on the command line --overwrite) to begin anew."
            )
        _check_identity(header, self._identity, str(self.path), "run")
        end = self._file.tell()
        for item in read_entries(self._file, self._classes):
            if isinstance(item, WatchReport):
                self.report = item
            else:
                self.num_windows += 1
                self.next_window = item.index + 1
            end = self._file.tell()
        return end


def _check_identity(
    found: Mapping[str, Any], wanted: Mapping[str, Any], where: str, of: str
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


@contextlib.contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    """Adds to errors of writing what is left to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}; {str(path)!r} cannot be written. The scores so far are safe: make "
            f"room and go on with resume=True "
            "(on the command line --resume)",
        ) from error
