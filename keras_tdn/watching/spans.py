"""From windows to stretches in which one class is ahead."""

from __future__ import annotations

import dataclasses

from keras_tdn.watching.layout import WindowLayout
from keras_tdn.watching.window import Window


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a video in which one class has the highest score.

    Args:
        start: Its begin, in seconds since the first frame.
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
            begin, end = middle - self._step / 2, middle + self._step / 2
            if self._open is None:
                self._sum = score
                begin = 0.0 if window.index == 0 else begin
                self._open = Span(round(begin, 6), round(end, 6), index, score, 1)
            else:
                self._sum += score
                number = self._open.num_windows + 1
                self._open = Span(
                    self._open.start, round(end, 6), index, self._sum / number, number
                )
        self._latest = window
        return finished

    def finish(self) -> list[Span]:
        """The span that the last window is in, if it is in one."""
        if self._open is None or self._latest is None:
            return []
        end = max(self._open.end, self._latest.end)
        last = dataclasses.replace(self._open, end=end)
        self._open = None
        return [last]
