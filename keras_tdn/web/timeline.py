"""Scores over time as a drawing that grows while a video is watched."""

from __future__ import annotations

from collections.abc import Sequence

from keras_tdn.pages.plots import COLORS, inline_svg
from keras_tdn.pages.rendering import render_part
from keras_tdn.pages.texts import clock_text, percent
from keras_tdn.watching import Span, SpanMerger, Window, WindowLayout
from keras_tdn.watching.timeline_page import score_figure, score_lines

# For screens and for phones, in CSS pixels, by class in the style sheet.
SIZES = {"wide": (760, 260), "narrow-plot": (380, 240)}
# A table has no more rows than are read.
MAX_ROWS = 12


class TimelineDrawing:
    """Takes windows as they come, and draws those it has.

    Args:
        layout: Where windows lie.
        labels: Names of the classes.
        seconds: How long the drawing is before it has to grow; `None` if that is not known.

    Example:

    >>> drawing = TimelineDrawing(windows.layout, model.labels, windows.duration)
    >>> for window in windows:
    ...     drawing.add(window)
    ...     html = drawing.html()
    """

    def __init__(
        self, layout: WindowLayout, labels: Sequence[str], seconds: float | None = None
    ) -> None:
        self._labels = labels
        self._seconds = seconds or 0.0
        self._merger = SpanMerger(layout)
        self._spans: list[Span] = []
        self._windows: list[Window] = []
        # In the order in which they were first ahead, so that colours stay while more come.
        self._ahead: dict[int, int] = {}

    def add(self, window: Window) -> None:
        """Takes the next window."""
        best = int(window.scores.argmax())
        self._ahead[best] = self._ahead.get(best, 0) + 1
        self._windows.append(window)
        self._spans += self._merger.add(window)

    def finish(self) -> None:
        """Says that no window comes any more: the last stretch ends."""
        self._spans += self._merger.finish()

    @property
    def end(self) -> float:
        """Where the last window ends, in seconds."""
        return self._windows[-1].end if self._windows else 0.0

    def html(self) -> str:
        """Returns the curves of the classes that were ahead most often, and the stretches."""
        if not self._windows:
            return ""
        most = sorted(self._ahead, key=lambda index: -self._ahead[index])[: len(COLORS)]
        shown = [index for index in self._ahead if index in most]
        end = max(self._seconds, self.end)
        lines = score_lines(self._windows, self._labels, shown, end)
        plots = [
            (kind, inline_svg(score_figure(lines, end, size, legend=False), "Scores over time"))
            for kind, size in SIZES.items()
        ]
        rows = [
            (
                f"{clock_text(span.start)} \u2013 {clock_text(span.end)}",
                self._labels[span.index],
                percent(span.score),
            )
            for span in self._spans[:MAX_ROWS]
        ]
        left_out = len(self._spans) - len(rows)
        names = [line.name for line in lines]
        return render_part("web.html", "timeline", names, plots, rows, left_out)
