"""Writers of a timeline as tables and subtitles, and the spans that subtitles show."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from keras_tdn.pages.texts import UNPRINTABLE
from keras_tdn.watching.layout import Window, WindowLayout


class TimelineWriter(Protocol):
    """Writes windows as they come; what was written is on the disk at once."""

    def add(self, window: Window) -> None:
        """Takes the next window."""
        ...

    def close(self) -> None:
        """Ends the file; no more windows will come."""
        ...


class CSVWriter:
    """A table: a row for each window, with the best class and the scores of all."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._labels = labels
        self._file = path.open("w", encoding="utf-8", newline="")
        self._write(["start", "end", "best", "score", *labels])

    def add(self, window: Window) -> None:
        best = int(window.scores.argmax())
        scores = [str(score) for score in window.scores]
        self._write([window.start, window.end, self._labels[best], scores[best], *scores])

    def close(self) -> None:
        self._file.close()

    def _write(self, row: list[object]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self._file.write(text.getvalue())
        self._file.flush()


class SubtitleWriter:
    """Subtitles: the class that is ahead, for as long as it is; a cue is written when it ends.

    Where the highest score is below `min_score` there is no cue. The path ends in `.srt` or `.vtt`.
    """

    def __init__(
        self, path: Path, labels: Sequence[str], layout: WindowLayout, min_score: float = 0.0
    ) -> None:
        self._labels = labels
        self._merger = SpanMerger(layout, min_score)
        self._is_vtt = path.suffix == ".vtt"
        self._number = 0
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="\n")
        if self._is_vtt:
            self._file.write("WEBVTT\n\n")
            self._file.flush()

    def add(self, window: Window) -> None:
        self._write(self._merger.add(window))

    def close(self) -> None:
        self._write(self._merger.finish())
        self._file.close()

    def _write(self, spans: list[Span]) -> None:
        for span in spans:
            self._number += 1
            point = "." if self._is_vtt else ","
            start, end = (_clock_time(seconds, point) for seconds in (span.start, span.end))
            text = f"{self._text(self._labels[span.index])} ({span.score:.0%})"
            self._file.write(f"{self._number}\n{start} --> {end}\n{text}\n\n")
        self._file.flush()

    def _text(self, label: str) -> str:
        # A line break would end the cue.
        text = " ".join(UNPRINTABLE.sub(" ", label).split())
        if self._is_vtt:
            return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return text.replace("-->", "->")


def _clock_time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


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
    for all before it, and the last one for all behind it.

    Args:
        layout: Where windows lie.
        min_score: Windows whose highest score is lower speak for nothing.

    Example:

    >>> merger = SpanMerger(layout)
    >>> spans = [span for window in windows for span in merger.add(window)] + merger.finish()
    """

    def __init__(self, layout: WindowLayout, min_score: float = 0.0) -> None:
        self._layout = layout
        self._min_score = min_score
        self._step = layout.stride * layout.spacing
        self._open: Span | None = None
        self._latest: Window | None = None
        self._sum = 0.0

    def add(self, window: Window) -> list[Span]:
        """Takes the next window.

        Returns:
            The span that ends before it, if one does.
        """
        index = int(window.scores.argmax())
        score = float(window.scores[index])
        finished = []
        joins = (
            self._open is not None
            and self._latest is not None
            and self._open.index == index
            and window.index == self._latest.index + 1
        )
        if self._open is not None and (score < self._min_score or not joins):
            finished.append(self._open)
            self._open = None
        if score >= self._min_score:
            middle = (window.start + window.end) / 2
            start, end = middle - self._step / 2, middle + self._step / 2
            if self._open is None:
                self._sum = score
                start = 0.0 if window.index == 0 else start
                self._open = Span(round(start, 6), round(end, 6), index, score, 1)
            else:
                self._sum += score
                number = self._open.num_windows + 1
                self._open = Span(
                    self._open.start, round(end, 6), index, self._sum / number, number
                )
        self._latest = window
        return finished

    def finish(self) -> list[Span]:
        """Returns the span that the last window is in, if it is in one."""
        if self._open is None or self._latest is None:
            return []
        end = max(self._open.end, self._latest.end)
        last = dataclasses.replace(self._open, end=end)
        self._open = None
        return [last]
