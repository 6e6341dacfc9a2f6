"""Scores over time as a drawing that grows while a video is watched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_tdn.html import clock_text, escape, percent, section, table
from keras_tdn.html.plot import COLORS, Plot, nice_ticks
from keras_tdn.watching import Span, SpanMerger, Window, WindowLayout

# For screens and for phones, in CSS pixels, with as many numbers on the axis.
SIZES = {"wide": (760, 260, 8), "narrow": (380, 240, 4)}
# The drawing has room for no more, and a table for no more rows that are read.
MAX_POINTS = 300
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
        """The curves of the classes that were ahead most often, and the stretches so far."""
        if not self._windows:
            return ""
        most = sorted(self._ahead, key=lambda index: -self._ahead[index])[: len(COLORS)]
        shown = [index for index in self._ahead if index in most]
        names = "".join(
            f'<span style="color:{color}">\u25cf {escape(self._labels[index])}</span>'
            for index, color in zip(shown, COLORS, strict=False)
        )
        plots = "".join(
            f'<div class="{kind}">{self._plot(shown, *size)}</div>' for kind, size in SIZES.items()
        )
        body = f'<div class="names">{names}</div>{plots}{self._stretches()}'
        return section("Timeline", body, "Scores by time, at the middle of each window.")

    def _plot(self, shown: list[int], width: int, height: int, num_ticks: int) -> str:
        end = max(self._seconds, self.end)
        ticks = nice_ticks(0, end, num_ticks)
        plot = Plot(
            (0, end), (0, 1), ticks, (0, 0.25, 0.5, 0.75, 1), "time", "score",
            x_text=clock_text, y_text=lambda share: percent(share, 0), width=width, height=height,
        )  # fmt: skip
        for piece in self._pieces():
            middles = [(window.start + window.end) / 2 for window in piece]
            scores = np.stack([window.scores[shown] for window in piece])
            # Neighbours are drawn as their mean where there are more than there is room for.
            room = max(1, MAX_POINTS * len(piece) // len(self._windows))
            groups = np.array_split(np.arange(len(piece)), min(len(piece), room))
            times = [float(np.mean([middles[at] for at in group])) for group in groups]
            means = np.clip([scores[group].mean(axis=0) for group in groups], 0.0, 1.0)
            for column, color in zip(range(len(shown)), COLORS, strict=False):
                points = list(zip(times, means[:, column].tolist(), strict=True))
                plot.line(points, color, dots=len(points) == 1)
        return plot.svg("Scores over time")

    def _pieces(self) -> list[list[Window]]:
        """Windows without a lost one between them; curves are interrupted there."""
        pieces: list[list[Window]] = []
        for window in self._windows:
            if not pieces or window.index != pieces[-1][-1].index + 1:
                pieces.append([])
            pieces[-1].append(window)
        return pieces

    def _stretches(self) -> str:
        rows = [
            (
                f"{clock_text(span.start)} \u2013 {clock_text(span.end)}",
                self._labels[span.index],
                percent(span.score),
            )
            for span in self._spans
        ]
        left_out = len(rows) - MAX_ROWS
        more = f'<p class="note">and {left_out} more</p>' if left_out > 0 else ""
        return table(("time", "ahead", "mean score"), rows[:MAX_ROWS]) + more if rows else ""
