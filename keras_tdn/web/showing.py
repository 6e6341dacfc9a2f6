"""From an uploaded video to what the page shows, part by part as it is ready."""

from __future__ import annotations

import collections
import logging
import math
import time
from collections.abc import Iterator, Sequence

from keras_tdn.data.decoding.interface import VideoDecodeError
from keras_tdn.explaining import Explanation, explain
from keras_tdn.explaining.explanation_files import shown_maps
from keras_tdn.models import TDNResNet
from keras_tdn.pages.plots import COLORS, inline_svg
from keras_tdn.pages.rendering import Bar, render_part
from keras_tdn.pages.texts import clock_text
from keras_tdn.prediction import class_names, predict_video
from keras_tdn.watching import Span, SpanMerger, Watch, Window, WindowLayout, watch
from keras_tdn.watching.timeline_page import score_figure, score_lines, span_row
from keras_tdn.web.page import NOTHING, Shown, working
from keras_tdn.web.uploads import UploadLimits, check_upload

TOP = 5
# Class names that stand for the others.
EXAMPLES = 4
# The page is drawn anew no more often than this.
REDRAW_SECONDS = 0.5

# Timelines for screens and for phones, in CSS pixels, by class in the style sheet.
SIZES = {"wide": (760, 260), "narrow-plot": (380, 240)}
# A table has no more rows than are read.
MAX_ROWS = 12

logger = logging.getLogger(__name__)


def show_video(
    model: TDNResNet,
    path: str | None,
    *,
    limits: UploadLimits | None = None,
    labels: Sequence[str] | None = None,
    window_seconds: float | None = None,
    redraw_seconds: float = REDRAW_SECONDS,
) -> Iterator[Shown]:
    """Names what happens in a video, shows why, and then when.

    Use it behind a page; nothing of Gradio is in it. Whatever the file is, nothing is raised: what
    is wrong becomes a message.

    Args:
        model: A `TDNResNet` with its classifier.
        path: Path of a file; `None` clears the page.
        limits: How much is taken. `None` takes `UploadLimits()`.
        labels: Class names. `None` takes the model's own.
        window_seconds: Length of the timeline's windows; see `keras_tdn.watching.watch`.
        redraw_seconds: The shortest time between two drawings of the timeline.

    Yields:
        `Shown`: each is what changed since the one before it.

    Example:

    >>> for shown in show_video(model, "video.mp4"):
    ...     print(shown.state)
    """
    yield Shown(working("Reading the video") if path else NOTHING, "", "", "")
    if not path:
        return
    limits = UploadLimits() if limits is None else limits
    try:
        check_upload(path, limits, model.clip_spec.frames_per_segment)
        predictions = predict_video(model, path, top=TOP, labels=labels)
        bars = [Bar(item.label, item.score) for item in predictions]
        answer = render_part("web.html", "answer", bars)
        yield Shown(working("Drawing the motion maps"), answer)
        maps = maps_html(explain(model, path, top=TOP, labels=labels))
        yield Shown(working("Watching"), maps=maps)
        names = class_names(model, labels)
        watched = watch(model, path, window_seconds=window_seconds, max_seconds=limits.seconds)
        with watched:
            yield from _timeline(watched, limits.seconds, names, redraw_seconds)
    except VideoDecodeError as error:
        message = str(error).replace(repr(path), "the file").replace(path, "the file")
        yield Shown(render_part("web.html", "problem", message))
    except Exception:
        # The server goes on, and what a bug has to say is for the terminal.
        logger.exception("The web demo could not show a video")
        message = "Something went wrong here. The terminal tells what; try another video."
        yield Shown(render_part("web.html", "problem", message))


def timeline_html(
    windows: Sequence[Window], spans: Sequence[Span], labels: Sequence[str], seconds: float = 0.0
) -> str:
    """Returns the curves of the classes that were ahead most often, and the stretches.

    `seconds` is how long the drawing is before it has to grow.
    """
    if not windows:
        return ""
    ahead = collections.Counter(int(window.scores.argmax()) for window in windows)
    most = {index for index, _ in ahead.most_common(len(COLORS))}
    # In the order in which they were first ahead, so that colours stay while more come.
    shown = [index for index in ahead if index in most]
    end = max(seconds, windows[-1].end)
    lines = score_lines(windows, labels, shown, end)
    plots = [
        (kind, inline_svg(score_figure(lines, end, size, legend=False), "Scores over time"))
        for kind, size in SIZES.items()
    ]
    told = (span_row(span, labels) for span in spans[:MAX_ROWS])
    rows = [(f"{start} \u2013 {end}", label, score) for start, end, label, score in told]
    names = [line.name for line in lines]
    return render_part("web.html", "timeline", names, plots, rows, len(spans) - len(rows))


def about_text(name: str, labels: Sequence[str], limits: UploadLimits, layout: WindowLayout) -> str:
    """Returns what a visitor should know, as Markdown."""
    # Within code nothing but its end means anything.
    model, *some = (f"`{text.replace('`', chr(39))}`" for text in (name, *labels[:EXAMPLES]))
    among = ", such as " if len(labels) > EXAMPLES else ": "
    return (
        f"Drop a video of up to {limits.megabytes} MB. The model {model} names what happens in it, "
        f"says when, in windows of {layout.window_seconds:g} seconds, and shows what it looks at. "
        f"It knows {len(labels)} classes{among}{', '.join(some)}. Whatever it sees is called by "
        "one of these. Videos stay on the machine that this page comes from."
    )


def maps_html(explanation: Explanation) -> str:
    """Returns what `keras-tdn explain` draws, its details folded."""
    maps = shown_maps(explanation)
    return render_part("web.html", "maps", maps, explanation.missing, explanation.target.label)


def _timeline(
    watched: Watch, max_seconds: float, names: Sequence[str], redraw_seconds: float
) -> Iterator[Shown]:
    windows: list[Window] = []
    spans: list[Span] = []
    merger = SpanMerger(watched.layout)

    def drawing() -> str:
        return timeline_html(windows, spans, names, min(watched.duration or 0.0, max_seconds))

    drawn = -math.inf
    for window in watched:
        windows.append(window)
        spans += merger.add(window)
        if time.monotonic() - drawn >= redraw_seconds:
            drawn = time.monotonic()
            of = f" of {clock_text(watched.duration)}" if watched.duration else ""
            yield Shown(working(f"Watched {clock_text(window.end)}{of}"), timeline=drawing())
    spans += merger.finish()
    lines = watched.report.lines()
    if watched.is_cut:
        cut = f"The timeline ends after {clock_text(max_seconds)}, as long as this page watches a "
        lines.insert(0, f"{cut}video.")
    yield Shown(render_part("web.html", "done", lines), timeline=drawing())
