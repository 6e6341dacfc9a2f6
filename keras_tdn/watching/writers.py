"""A timeline as tables and subtitles, written as it comes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from keras_tdn.pages.texts import UNPRINTABLE
from keras_tdn.watching.layout import WindowLayout
from keras_tdn.watching.spans import Span, SpanMerger
from keras_tdn.watching.window import Window


class TimelineWriter(Protocol):
    """Writes windows as they come; what was written is on the disk at once."""

    def add(self, window: Window) -> None:
        """Takes the next window."""
        ...

    def close(self) -> None:
        """Takes note that no more will come."""
        ...


class CSVWriter:
    """A table: a row for each window, with the best class and the scores of all.

    Args:
        path: Path of the file; one that is there is replaced.
        labels: Names of the classes.
    """

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
    """Subtitles: the class that is ahead, for as long as it is.

    A cue is written when it ends.

    Args:
        path: Path of the file, which ends in `.srt` or `.vtt`; one that is there is replaced.
        labels: Names of the classes.
        layout: Where windows lie.
        min_score: Where the highest score is lower there is no cue.
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
