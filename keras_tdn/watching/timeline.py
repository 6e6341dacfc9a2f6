"""The timeline of a run: its windows as JSON lines, and what was watched and lost."""

from __future__ import annotations

import dataclasses
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.watching.layout import Window

TIMELINE_NAME = "timeline.jsonl"
FORMAT = "keras_tdn timeline 1"
_CHECKSUM = b',"crc32":'
# A header of many labels is longer than a line of scores, and no line is longer than this.
_MAX_LINE_BYTES = 64 * 2**20
# A stream may be bad for ever.
MAX_LOSSES = 1000
MANY_REASONS = "many more, for several reasons"


@dataclasses.dataclass(frozen=True)
class Loss:
    """A stretch of a video that no window was scored on.

    Args:
        start: Its start, in seconds since the first frame.
        end: Its end.
        reason: Why.
    """

    start: float
    end: float
    reason: str

    def __str__(self) -> str:
        return f"{self.start:g} s to {self.end:g} s: {self.reason}"


@dataclasses.dataclass(frozen=True)
class WatchReport:
    """What was watched so far.

    Args:
        num_windows: Windows scored.
        num_lost_windows: Windows left out because one of their segments is lost, from the
            video's first window on.
        num_frames: Frames decoded.
        seconds: When the last of them is on screen, since the first.
        losses: Where segments were lost, and why.
        finished: Whether there is nothing more to come.
        ending: Why it ended early; empty if it did not.
    """

    num_windows: int
    num_lost_windows: int
    num_frames: int
    seconds: float
    losses: tuple[Loss, ...]
    finished: bool
    ending: str = ""

    @classmethod
    def from_config(cls, config: Any) -> WatchReport:
        """Rebuilds what `dataclasses.asdict` gave.

        Raises:
            TypeError, KeyError: if it is something else.
        """
        return cls(**{**config, "losses": tuple(Loss(**loss) for loss in config["losses"])})

    def lines(self) -> list[str]:
        """Returns what went wrong, a line for each."""
        lines = [f"lost {loss}" for loss in self.losses]
        if self.ending:
            lines.append(f"ended early, after {self.seconds:.1f} s: {self.ending}")
        return lines


class LossList:
    """Losses of segments, neighbours of one reason joined; no longer however much is lost.

    Args:
        spacing: Seconds from one segment to the next.
    """

    def __init__(self, spacing: float) -> None:
        self._spacing = spacing
        self._runs: list[tuple[int, int, str]] = []

    def add(self, segment: int, reason: str, count: int = 1) -> None:
        """Takes lost segments, `count` from that one on; they come in order."""
        if self._runs:
            start, stop, last = self._runs[-1]
            full = len(self._runs) == MAX_LOSSES
            if full or (stop == segment and last == reason):
                reason = last if last == reason else MANY_REASONS
                self._runs[-1] = (start, segment + count, reason)
                return
        self._runs.append((segment, segment + count, reason))

    @property
    def losses(self) -> tuple[Loss, ...]:
        return tuple(
            Loss(round(start * self._spacing, 6), round(stop * self._spacing, 6), reason)
            for start, stop, reason in self._runs
        )


class LineWriter:
    """Writes a timeline as JSON lines: what the scores follow from, each window, and the report.

    The last member of each line is a checksum of what comes before it.

    Args:
        path: Path of the file; one that is there is replaced.
        facts: What the scores follow from, as JSON values.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self._file = path.open("wb")
        self._write({"format": FORMAT, **facts})

    def add(self, window: Window) -> None:
        """Writes the next window."""
        # The shortest text that gives the same float32 again.
        scores = [float(str(score)) for score in window.scores]
        self._write(
            {"window": window.index, "start": window.start, "end": window.end, "scores": scores}
        )

    def finish(self, report: WatchReport) -> None:
        """Writes that there is nothing more to come."""
        self._write({"finished": dataclasses.asdict(report)})
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        text = json.dumps(values, separators=(",", ":")).encode()[:-1]
        self._file.write(text + _CHECKSUM + str(zlib.crc32(text)).encode() + b"}\n")
        self._file.flush()


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Scores along a video, as a run wrote them.

    Use it to work with a timeline that is on the disk. Windows are read as they are asked for, so
    that it may be longer than memory holds.

    Args:
        path: Path of the file `timeline.jsonl`.
        facts: What the scores follow from: `labels`, `window_seconds` and so on.

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
        """Yields the windows in order."""
        return (item for item in self._items() if isinstance(item, Window))

    @property
    def report(self) -> WatchReport | None:
        """What was watched and lost; `None` of a run that has not come to its end."""
        return next((item for item in self._items() if isinstance(item, WatchReport)), None)

    def _items(self) -> Iterator[Window | WatchReport]:
        """Yields windows and then the report, up to the first line that is cut short or damaged."""
        latest = -1
        with open(self.path, "rb") as file:
            file.readline(_MAX_LINE_BYTES)
            while (values := parse_line(file.readline(_MAX_LINE_BYTES))) is not None:
                try:
                    if "finished" in values:
                        yield WatchReport.from_config(values["finished"])
                        return
                    scores = np.array(values["scores"], np.float32)
                    window = Window(values["window"], values["start"], values["end"], scores)
                    if window.index <= latest or scores.shape != (len(self.labels),):
                        return
                except (KeyError, TypeError, ValueError):
                    return
                latest = window.index
                yield window


def load_timeline(path: str | os.PathLike[str]) -> Timeline:
    """Opens a timeline that a run wrote, also while it still writes.

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
        header = parse_line(opened.readline(_MAX_LINE_BYTES))
    if header is None or header.get("format") != FORMAT:
        raise ValueError(f"{str(file)!r} is no timeline of this version; record it again.")
    return Timeline(file, header)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Returns what a line holds; `None` if it is cut short or damaged."""
    text, mark, checksum = line.rpartition(_CHECKSUM)
    if not mark or checksum != str(zlib.crc32(text)).encode() + b"}\n":
        return None
    try:
        values = json.loads(text + b"}")
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
