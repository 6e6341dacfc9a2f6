"""A timeline as a page that needs no other file, and its plot."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_tdn.files.atomic import write_beside
from keras_tdn.pages.plots import COLORS, Line, curves, inline_svg
from keras_tdn.pages.rendering import render
from keras_tdn.pages.texts import clock_text, percent
from keras_tdn.watching.layout import Window
from keras_tdn.watching.timeline import Span, SpanMerger, Timeline, load_timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Curves have no more points than the drawing has room for, and tables no more rows than are read.
MAX_POINTS = 400
MAX_ROWS = 200
SIZE = (1120, 340)


def write_timeline_page(
    timeline: Timeline | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    min_score: float = 0.0,
    title: str = "Timeline",
) -> None:
    """Draws a timeline: the scores of the classes that are ahead most often, and when.

    Use it on what `record_timeline` or `keras-tdn watch` has written, also while it still writes.

    Args:
        timeline: The timeline, or its path.
        path: Path of the page; one that is there is replaced.
        min_score: Windows whose highest score is lower are in no stretch of the table.
        title: Heading of the page.

    Raises:
        ValueError: if it is no timeline, or has no window yet.

    Example:

    >>> keras_tdn.watching.write_timeline_page("results", "results/timeline.html")
    """
    timeline, counts, lines, end = _read(timeline)
    spans, num_spans = _spans(timeline, min_score)
    report = timeline.report
    page = render(
        "timeline.html",
        title=title,
        lead="",
        end=end,
        timeline=timeline,
        report=report,
        num_windows=counts.sum(),
        names=[line.name for line in lines],
        share=counts.max() / counts.sum(),
        curves=inline_svg(score_figure(lines, end, SIZE, legend=False), "Scores over time"),
        is_long=counts.sum() > MAX_POINTS,
        spans=[span_row(span, timeline.labels) for span in spans],
        num_spans=num_spans,
        video_facts=", ".join(f"{name} {value}" for name, value in timeline.facts["video"].items()),
        losses=[] if report is None else report.lines()[:MAX_ROWS],
    )
    write_beside(path, page.encode())


def plot_timeline(timeline: Timeline | str | os.PathLike[str]) -> Figure:
    """Draws the scores of the classes that are ahead most often over time, as in a notebook.

    Long videos are drawn as means of neighbouring windows.

    Args:
        timeline: The timeline, or its path.

    Raises:
        ValueError: if it is no timeline, or has no window yet.

    Example:

    >>> keras_tdn.watching.plot_timeline("results").savefig("timeline.png")
    """
    _, _, lines, end = _read(timeline)
    return score_figure(lines, end, SIZE)


def score_lines(
    windows: Iterable[Window], labels: Sequence[str], shown: Sequence[int], end: float
) -> list[Line]:
    """Returns mean scores of the classes `shown` up to `end`, with gaps where windows were lost."""
    sums = np.zeros((MAX_POINTS, len(shown)))
    times = np.zeros(MAX_POINTS)
    numbers = np.zeros(MAX_POINTS, np.int64)
    is_break = np.zeros(MAX_POINTS, bool)
    latest = -1
    for window in windows:
        middle = (window.start + window.end) / 2
        step = min(int(middle / end * MAX_POINTS), MAX_POINTS - 1)
        is_break[step] |= latest >= 0 and window.index != latest + 1 and numbers[step] == 0
        latest = window.index
        sums[step] += window.scores[list(shown)]
        times[step] += middle
        numbers[step] += 1
    filled = np.flatnonzero(numbers)
    times, means = times[filled] / numbers[filled], sums[filled] / numbers[filled, np.newaxis]
    breaks = np.flatnonzero(is_break[filled])
    times = np.insert(times, breaks, times[breaks])
    means = np.insert(np.clip(means, 0.0, 1.0), breaks, np.nan, axis=0)
    return [
        Line(labels[index], list(zip(times.tolist(), means[:, column].tolist(), strict=True)))
        for column, index in enumerate(shown)
    ]


def score_figure(
    lines: Sequence[Line], end: float, size: tuple[float, float], *, legend: bool = True
) -> Figure:
    """Draws curves of `score_lines` up to `end`, in CSS pixels of width and height."""
    figure = curves(lines, "time", "score", y_range=(0.0, 1.0), size=size, legend=legend)
    (axes,) = figure.axes
    axes.set_xlim(0.0, end)
    axes.locator_params(axis="x", nbins=size[0] // 80)
    axes.xaxis.set_major_formatter(lambda seconds, _: clock_text(max(seconds, 0.0)))
    return figure


def span_row(span: Span, labels: Sequence[str]) -> tuple[str, str, str, str]:
    """Returns start, end, class and mean score of a stretch as a page has them."""
    return clock_text(span.start), clock_text(span.end), labels[span.index], percent(span.score)


def _read(
    timeline: Timeline | str | os.PathLike[str],
) -> tuple[Timeline, np.ndarray, list[Line], float]:
    """Returns in how many windows each class is ahead, the curves of a few, and the end."""
    if not isinstance(timeline, Timeline):
        timeline = load_timeline(timeline)
    counts = np.zeros(len(timeline.labels), np.int64)
    end = 0.0
    for window in timeline.windows():
        counts[window.scores.argmax()] += 1
        end = window.end
    if not counts.any():
        raise ValueError(
            f"The timeline {str(timeline.path)!r} has no window yet. Draw it when it has."
        )
    # Equal counts keep the order of the classes.
    order = np.argsort(-counts, kind="stable")[: len(COLORS)]
    shown = [int(index) for index in order if counts[index]]
    return timeline, counts, score_lines(timeline.windows(), timeline.labels, shown, end), end


def _spans(timeline: Timeline, min_score: float) -> tuple[list[Span], int]:
    """The first stretches in which one class is ahead, and how many there are."""
    merger = SpanMerger(timeline.layout, min_score)
    added = (span for window in timeline.windows() for span in merger.add(window))
    spans = list(itertools.islice(added, MAX_ROWS))
    number = len(spans) + sum(1 for _ in added)
    last = merger.finish()
    return [*spans, *last[: MAX_ROWS - len(spans)]], number + len(last)
