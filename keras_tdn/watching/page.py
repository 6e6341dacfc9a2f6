"""A timeline as a page that needs no other file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_tdn.files.atomic import written_beside
from keras_tdn.html import Tile, clock_text, document, escape, facts, percent, section, table, tiles
from keras_tdn.html.plot import COLORS, Plot, nice_ticks
from keras_tdn.watching.layout import WindowLayout
from keras_tdn.watching.timeline import Timeline, WatchReport, load_timeline
from keras_tdn.watching.timeline_writers import Span, SpanMerger

# Curves have no more points than the drawing has room for, and tables no more rows than are read.
MAX_POINTS = 400
MAX_ROWS = 200
WIDTH, HEIGHT = 1120, 340


def write_timeline_page(
    timeline: Timeline | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    min_score: float = 0.0,
    title: str = "Timeline",
) -> None:
    """Draws a timeline: the scores of the classes that are ahead most often, and when.

    Use it on what `record_timeline` or `keras-tdn watch` has written, also while it still writes.
    The file is read window by window, so that it may be longer than memory holds.

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
    if not isinstance(timeline, Timeline):
        timeline = load_timeline(timeline)
    page = _page(timeline, min_score, title)
    with written_beside(Path(path)) as temporary:
        temporary.write_bytes(page.encode())


def layout_of(timeline: Timeline) -> WindowLayout:
    """Where the windows of a timeline lie."""
    clip = timeline.facts["clip"]
    return WindowLayout(
        clip["num_segments"],
        clip["frames_per_segment"],
        timeline.facts["window_seconds"],
        timeline.facts["stride"],
    )


def _page(timeline: Timeline, min_score: float, title: str) -> str:
    labels = timeline.labels
    counts = np.zeros(len(labels), np.int64)
    merger = SpanMerger(layout_of(timeline), min_score)
    spans: list[Span] = []
    num_spans = 0
    last_end = 0.0

    def take(finished: Iterable[Span]) -> None:
        nonlocal num_spans
        for span in finished:
            num_spans += 1
            if len(spans) < MAX_ROWS:
                spans.append(span)

    for window in timeline.windows():
        counts[window.scores.argmax()] += 1
        last_end = window.end
        take(merger.add(window))
    take(merger.finish())
    if not counts.any():
        raise ValueError(
            f"The timeline {str(timeline.path)!r} has no window yet. Draw it when it has."
        )
    # Equal counts keep the order of the classes.
    shown = [
        int(index) for index in np.argsort(-counts, kind="stable")[: len(COLORS)] if counts[index]
    ]
    report = timeline.report
    parts = [
        tiles(
            [
                Tile(clock_text(last_end), "video", "up to the last window's end"),
                Tile(str(counts.sum()), "windows", f"of {timeline.facts['window_seconds']:g} s"),
                Tile(labels[shown[0]], "most often ahead", percent(counts.max() / counts.sum())),
            ]
        ),
        section(
            "Scores",
            _legend(labels, shown) + _plot(timeline, shown, last_end),
            "Of the classes that are ahead most often, at the middle of each window"
            + (". Long videos are drawn as means of neighbouring windows." if _is_long(counts.sum())
               else "."),
        ),
        section("What is ahead", _span_table(spans, num_spans, labels)),
    ]  # fmt: skip
    if report is not None and report.lines():
        rows = "".join(f"<p>{escape(line)}</p>" for line in report.lines()[:MAX_ROWS])
        parts.append(section("What was lost", rows))
    parts.append(section("What this is of", facts(_facts(timeline, report))))
    return document(title, "".join(parts))


def _plot(timeline: Timeline, shown: list[int], end: float) -> str:
    """Means over buckets of windows, one pass over the file."""
    sums = np.zeros((MAX_POINTS, len(shown)))
    times = np.zeros(MAX_POINTS)
    numbers = np.zeros(MAX_POINTS, np.int64)
    latest = -1
    breaks = np.zeros(MAX_POINTS, bool)
    for window in timeline.windows():
        middle = (window.start + window.end) / 2
        bucket = min(int(middle / end * MAX_POINTS), MAX_POINTS - 1)
        # A lost window interrupts the curve.
        breaks[bucket] |= latest >= 0 and window.index != latest + 1 and numbers[bucket] == 0
        latest = window.index
        sums[bucket] += window.scores[shown]
        times[bucket] += middle
        numbers[bucket] += 1
    plot = Plot(
        (0, end), (0, 1), nice_ticks(0, end, 10), (0, 0.25, 0.5, 0.75, 1), "time", "score",
        x_text=clock_text, y_text=lambda share: percent(share, 0), width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    filled = np.flatnonzero(numbers)
    pieces = np.split(filled, np.flatnonzero(breaks[filled]))
    for column, color in zip(range(len(shown)), COLORS, strict=False):
        for piece in pieces:
            points = [
                (times[at] / numbers[at], min(max(sums[at, column] / numbers[at], 0.0), 1.0))
                for at in piece
            ]
            if points:
                plot.line(points, color, dots=len(points) == 1)
    return plot.svg("Scores over time")


def _legend(labels: tuple[str, ...], shown: list[int]) -> str:
    names = "".join(
        f'<span style="color:{color};margin-right:1.4rem">\u25cf {escape(labels[index])}</span>'
        for index, color in zip(shown, COLORS, strict=False)
    )
    return f"<div>{names}</div>"


def _span_table(spans: list[Span], num_spans: int, labels: tuple[str, ...]) -> str:
    rows = [
        (clock_text(span.start), clock_text(span.end), labels[span.index], percent(span.score))
        for span in spans
    ]
    more = "" if num_spans == len(spans) else f"<p>and {num_spans - len(spans)} more</p>"
    return table(("from", "to", "class", "mean score"), rows) + more


def _facts(timeline: Timeline, report: WatchReport | None) -> list[tuple[str, object]]:
    told = timeline.facts
    layout = layout_of(timeline)
    rows: list[tuple[str, object]] = [
        ("Windows", f"{layout.window_seconds:g} s, every {layout.stride * layout.spacing:g} s"),
        ("Segments", f"{layout.num_segments} of {layout.frames_per_segment} frames in each"),
        ("Weights", f"SHA-256 {told['weights']}"),
        ("Video", ", ".join(f"{name} {value}" for name, value in told["video"].items())),
    ]
    if report is None:
        rows.append(("State", "the run has not come to its end"))
    else:
        rows.append(("Frames", report.num_frames))
        rows.append(("Windows lost", report.num_lost_windows))
    return rows


def _is_long(num_windows: int) -> bool:
    return num_windows > MAX_POINTS
