"""Scores of windows on the disk as they come, so that a killed run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from keras_tdn.evaluation.score_log import check_identity, explained, lock_log
from keras_tdn.pretrained.output import written_beside
from keras_tdn.watching.report import Loss, WatchReport
from keras_tdn.watching.windows import Window

CHECKSUM = b',"crc32":'
TIMELINE_NAME = "timeline.jsonl"
FORMAT = "keras_tdn timeline 1"
# A header of many labels is longer than a line of scores, and no line is longer than this.
MAX_LINE_BYTES = 64 * 2**20
# Whoever kills the process loses nothing that was written; a power cut loses less than this.
SYNC_SECONDS = 1.0


class TimelineLog:
    """Windows as JSON lines, appended one by one to a file.

    The first line tells what the scores are of; then comes a line for each window, and one more at
    the end, all with a checksum. On opening, lines count up to the first that is cut short or
    damaged; the rest is dropped and scored again.

    Use it as a context manager; it is locked against other processes meanwhile.

    Args:
        path: Path of the file.
        identity: What the scores are of, of values that JSON can hold. A file that says something
            else is refused.
        classes: Scores per window.
        resume: Whether to go on with a file that is there.

    Raises:
        ValueError: if the file is of something else, is no such log, or is in use.
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
        with explained(self.path):
            if not (self._resume and self.path.exists()):
                with written_beside(self.path) as temporary:
                    temporary.write_bytes(_line(self._identity))
            self._file = open(self.path, "r+b")
        try:
            lock_log(self._file, self.path, "watching")
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
        with explained(self.path):
            self._file.write(_line(values))
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def _read(self) -> int:
        header = _parse(self._file.readline(MAX_LINE_BYTES))
        if header is None or header.get("format") != FORMAT:
            raise ValueError(
                f"{str(self.path)!r} is no timeline of this version. Choose another folder, or "
                "pass overwrite=True (on the command line --overwrite) to begin anew."
            )
        check_identity(header, self._identity, str(self.path), "run")
        end = self._file.tell()
        for item in _entries(self._file, self._classes):
            if isinstance(item, WatchReport):
                self.report = item
            else:
                self.num_windows += 1
                self.next_window = item.index + 1
            end = self._file.tell()
        return end


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Scores along a video, as a run wrote them down.

    Use it to work with a timeline that is on the disk. Windows are read as they are asked for, so
    that it may be longer than memory holds.

    Args:
        path: Path of the file `timeline.jsonl`.
        facts: What the scores are of: `labels`, `window_seconds` and so on.

    Example:

    >>> timeline = keras_tdn.watching.load_timeline("results")
    >>> best = max(timeline.windows(), key=lambda window: window.scores[3])
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.facts["labels"])

    def windows(self) -> Iterator[Window]:
        """The windows in order."""
        return (item for item in self._items() if isinstance(item, Window))

    @property
    def report(self) -> WatchReport | None:
        """What was watched and lost; `None` of a run that has not come to its end."""
        return next((item for item in self._items() if isinstance(item, WatchReport)), None)

    def _items(self) -> Iterator[Window | WatchReport]:
        with open(self.path, "rb") as file:
            file.readline(MAX_LINE_BYTES)
            yield from _entries(file, len(self.facts["labels"]))


def load_timeline(path: str | os.PathLike[str]) -> Timeline:
    """Opens a timeline that a run wrote.

    Args:
        path: The run's folder, or the file `timeline.jsonl` in it.

    Raises:
        ValueError: if it is no timeline.

    Example:

    >>> [window.start for window in load_timeline("results").windows()]
    """
    file = Path(path)
    if file.is_dir():
        file = file / TIMELINE_NAME
    if not file.is_file():
        raise ValueError(
            f"There is no timeline {str(file)!r}. `keras-tdn watch --output DIR` makes one."
        )
    with open(file, "rb") as opened:
        header = _parse(opened.readline(MAX_LINE_BYTES))
    if header is None or header.get("format") != FORMAT:
        raise ValueError(f"{str(file)!r} is no timeline of this version; record it anew.")
    return Timeline(file, header)


def _line(values: Mapping[str, Any]) -> bytes:
    """One JSON object, the last member of which is the checksum of what comes before it."""
    text = json.dumps(values, separators=(",", ":")).encode()[:-1]
    return text + CHECKSUM + str(zlib.crc32(text)).encode() + b"}\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """What a line holds; `None` if it is cut short or damaged."""
    text, mark, checksum = line.rpartition(CHECKSUM)
    if not mark or checksum != str(zlib.crc32(text)).encode() + b"}\n":
        return None
    values = json.loads(text + b"}")
    return values if isinstance(values, dict) else None


def _entries(file: BinaryIO, classes: int) -> Iterator[Window | WatchReport]:
    """Windows, and behind the last of a run that has come to its end the report."""
    latest = -1
    while (values := _parse(file.readline(MAX_LINE_BYTES))) is not None:
        if set(values) == {"finished"}:
            report = _report(values["finished"])
            if report is not None:
                yield report
            return
        window = _window(values, classes)
        if window is None or window.index <= latest:
            return
        latest = window.index
        yield window


def _window(values: Mapping[str, Any], classes: int) -> Window | None:
    try:
        scores = np.array(values["scores"], np.float32)
        index, start, end = int(values["window"]), float(values["start"]), float(values["end"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    whole = len(values) == 4 and scores.shape == (classes,) and bool(np.isfinite(scores).all())
    return Window(index, start, end, scores) if whole else None


def _report(values: Any) -> WatchReport | None:
    try:
        losses = tuple(Loss(**loss) for loss in values["losses"])
        return WatchReport(**{**values, "losses": losses})
    except (KeyError, TypeError):
        return None
