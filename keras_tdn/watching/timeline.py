"""The timeline of a run: its windows as JSON lines, as a table and as subtitles."""

from __future__ import annotations

import abc
import csv
import dataclasses
import html
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.pages.texts import UNPRINTABLE
from keras_tdn.watching.layout import Window, WindowLayout

TIMELINE_NAME = "timeline.jsonl"
FORMAT = "keras_tdn timeline 1"
_CHECKSUM = b',"crc32":'
# A header of many labels is longer than a line of scores, and no line is longer than this.
_MAX_LINE_BYTES = 64 * 2**20


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
        num_lost_windows: Windows left out because one of their segments is lost.
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
        """Rebuilds what `dataclasses.asdict` gave; anything else is a `TypeError` or `KeyError`."""
        return cls(**{**config, "losses": tuple(Loss(**loss) for loss in config["losses"])})

    def lines(self) -> list[str]:
        """Returns what went wrong, a line for each."""
        lines = [f"lost {loss}" for loss in self.losses]
        if self.ending:
            lines.append(f"ended early, after {self.seconds:.1f} s: {self.ending}")
        return lines


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a video in which one class has the highest score.

    Args:
        start: Its start, in seconds since the first frame.
        end: Its end.
        index: The class.
        score: The mean of its scores over the windows of the stretch.
        num_windows: How many these are.
    """

    start: float
    end: float
    index: int
    score: float
    num_windows: int


class SpanMerger:
    """Joins neighbouring windows with the same class ahead, as they come.

    Windows overlap, so that each speaks for the stride around its middle; the video's first one
    for all before it, and the last one for all behind it. Windows whose highest score is below
    `min_score` speak for nothing.

    Example:

    >>> merger = SpanMerger(layout)
    >>> spans = [span for window in windows for span in merger.add(window)] + merger.finish()
    """

    def __init__(self, layout: WindowLayout, min_score: float = 0.0) -> None:
        self._min_score = min_score
        self._step = layout.stride * layout.spacing
        self._open: Span | None = None
        self._sum = 0.0
        self._next_window, self._end = 0, 0.0

    def add(self, window: Window) -> list[Span]:
        """Takes the next window, and returns the span that ends before it, if one does."""
        index = int(window.scores.argmax())
        score = float(window.scores[index])
        middle = (window.start + window.end) / 2
        start, end = round(middle - self._step / 2, 6), round(middle + self._step / 2, 6)
        speaks, latest, follows = score >= self._min_score, self._open, self._next_window
        self._next_window, self._end = window.index + 1, window.end
        if latest is not None and speaks and (index, window.index) == (latest.index, follows):
            self._sum += score
            number = latest.num_windows + 1
            self._open = Span(latest.start, end, index, self._sum / number, number)
            return []
        self._sum = score
        self._open = Span(start if window.index else 0.0, end, index, score, 1) if speaks else None
        return [] if latest is None else [latest]

    def finish(self) -> list[Span]:
        """Returns the span that the last window is in, if it is in one."""
        if self._open is None:
            return []
        last = dataclasses.replace(self._open, end=max(self._open.end, self._end))
        self._open = None
        return [last]


class TimelineWriter(abc.ABC):
    """Writes windows to a new file as they come; each is on the disk at once."""

    def __init__(self, path: Path) -> None:
        # With a buffer of a line.
        self._file = path.open("w", buffering=1, encoding="utf-8", newline="")

    @abc.abstractmethod
    def add(self, window: Window) -> None:
        """Takes the next window."""

    def close(self) -> None:
        self._file.close()


class LineWriter(TimelineWriter):
    """JSON lines, each with a checksum at its end: what scores follow from, windows, the report."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(path)
        self._write_line({"format": FORMAT, **facts})

    def add(self, window: Window) -> None:
        # The shortest text that gives the same float32 again.
        scores = [float(str(score)) for score in window.scores]
        self._write_line(
            {"window": window.index, "start": window.start, "end": window.end, "scores": scores}
        )

    def finish(self, report: WatchReport) -> None:
        """Writes that there is nothing more to come."""
        self._write_line({"finished": dataclasses.asdict(report)})
        os.fsync(self._file.fileno())

    def _write_line(self, values: Mapping[str, Any]) -> None:
        text = json.dumps(values, separators=(",", ":"))[:-1]
        self._file.write(f"{text}{_CHECKSUM.decode()}{zlib.crc32(text.encode())}}}\n")


class CSVWriter(TimelineWriter):
    """A table: a row for each window, with the best class and the scores of all."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        super().__init__(path)
        self._labels = labels
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(["start", "end", "best", "score", *labels])

    def add(self, window: Window) -> None:
        best = int(window.scores.argmax())
        scores = [str(score) for score in window.scores]
        self._table.writerow([window.start, window.end, self._labels[best], scores[best], *scores])


class SubtitleWriter(TimelineWriter):
    """Subtitles, `.srt` or `.vtt`: the class that is ahead, written when it is so no longer."""

    def __init__(
        self, path: Path, labels: Sequence[str], layout: WindowLayout, min_score: float = 0.0
    ) -> None:
        super().__init__(path)
        self._labels = labels
        self._merger = SpanMerger(layout, min_score)
        self._is_vtt = path.suffix == ".vtt"
        self._number = 0
        if self._is_vtt:
            self._file.write("WEBVTT\n\n")

    def add(self, window: Window) -> None:
        self._write_cues(self._merger.add(window))

    def close(self) -> None:
        self._write_cues(self._merger.finish())
        super().close()

    def _write_cues(self, spans: list[Span]) -> None:
        for span in spans:
            self._number += 1
            times = " --> ".join(self._clock_time(seconds) for seconds in (span.start, span.end))
            # A line break would end the cue.
            label = " ".join(UNPRINTABLE.sub(" ", self._labels[span.index]).split())
            label = html.escape(label, False) if self._is_vtt else label.replace("-->", "->")
            self._file.write(f"{self._number}\n{times}\n{label} ({span.score:.0%})\n\n")

    def _clock_time(self, seconds: float) -> str:
        minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
        hours, minutes = divmod(minutes, 60)
        whole, milliseconds = divmod(milliseconds, 1000)
        point = "." if self._is_vtt else ","
        return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Scores along a video, as a run wrote them; `load_timeline` opens one.

    Windows are read as they are asked for, so that it may be longer than memory holds.

    Args:
        path: Path of the file `timeline.jsonl`.
        facts: What the scores follow from: `labels`, `window_seconds` and so on.
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.facts["labels"])

    @property
    def layout(self) -> WindowLayout:
        """Where its windows lie."""
        clip, seconds, stride = (self.facts[name] for name in ("clip", "window_seconds", "stride"))
        return WindowLayout(clip["num_segments"], clip["frames_per_segment"], seconds, stride)

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

    >>> timeline = keras_tdn.watching.load_timeline("results")
    >>> best = max(timeline.windows(), key=lambda window: window.scores[3])
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
