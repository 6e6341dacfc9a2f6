"""A report as a page that any browser shows, and its plots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.evaluation.report import EvaluationReport
from keras_tdn.files.atomic import write_beside
from keras_tdn.pages.confusion import MAX_NUMBERS, heat_figure, heat_picture, heat_rows
from keras_tdn.pages.pictures import Picture, strip
from keras_tdn.pages.plots import PALETTE, Line, curves, drawing, inline_svg, note
from keras_tdn.pages.rendering import Bar, render
from keras_tdn.pages.texts import percent
from keras_tdn.scoring.views import FrameReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From here on classes stand in columns, the worst first.
MANY_CLASSES = 24
MAX_CONFUSIONS = 25
MAX_FAILURES = 50
MAX_MISTAKES = 24
PICTURES_PER_VIDEO = 5


def write_page(
    report: EvaluationReport,
    path: str | os.PathLike[str],
    frames: FrameReader | None = None,
    rows: Mapping[str, int] | None = None,
) -> None:
    """Writes a report as one HTML file that needs no other.

    Args:
        report: The report.
        path: Path of the file. It is replaced as a whole, or not at all.
        frames: Reads frames of the videos, for pictures of the mistakes; without it there are none.
        rows: Rows of the videos in that reader, by path.

    Example:

    >>> write_page(load_report("results"), "results/report.html")
    """
    many = len(report.classes) > MANY_CLASSES
    confusion = report.confusion
    has_numbers = len(report.class_names) <= MAX_NUMBERS
    picture = f"confusion matrix of {len(report.class_names)} classes"
    calibration = None
    if report.calibration_error is not None:
        calibration = inline_svg(plot_calibration(report), "accuracy and videos by confidence")
    mistakes = report.mistakes(MAX_MISTAKES)
    page = render(
        "report.html",
        title=f"Evaluation of {report.facts.get('model', 'a model')}",
        lead=f"{report.num_scored} videos, {len(report.class_names)} classes.",
        report=report,
        facts=_facts(report),
        num_correct=sum(video.rank == 0 for video in report.videos),
        num_present=sum(result.count > 0 for result in report.classes),
        **_views(report),
        many=many,
        bars=_class_bars(report, confusion, many),
        heat_rows=heat_rows(confusion) if has_numbers else None,
        heat_picture=None if has_numbers else heat_picture(confusion, picture),
        confusions=_confusions(report, confusion),
        calibration=calibration,
        mistakes=[(video, _pictures(video.path, frames, rows or {})) for video in mistakes],
        num_mistakes=sum(video.rank > 0 for video in report.videos),
        failures=[(each.path, each.reason) for each in report.failures[:MAX_FAILURES]],
    )
    write_beside(path, page.encode())


def plot_confusion(report: EvaluationReport) -> Figure:
    """Draws the confusion matrix of a report, for a notebook or a paper.

    With more than 40 classes it has neither names nor numbers, and small shares are drawn darker.

    Example:

    >>> plot_confusion(load_report("results")).savefig("confusion.pdf")
    """
    return heat_figure(report.confusion, report.class_names, "true class", "predicted class")


def plot_calibration(report: EvaluationReport) -> Figure:
    """Draws the accuracy of videos of like confidence: is 80 % confidence right in 80 % of cases?

    Raises:
        ValueError: if the scores are no probabilities.

    Example:

    >>> plot_calibration(load_report("results")).savefig("calibration.pdf")
    """
    if report.calibration_error is None:
        raise ValueError(
            "The report has no calibration: its scores are no probabilities. Report on scores of "
            "a softmax, or average with average='softmax'."
        )
    with drawing((460, 520)) as figure:
        accuracy, counts = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        accuracy.plot((0, 1), (0, 1), "--", color=PALETTE["muted"], linewidth=1.5)
        for part in report.calibration_bins:
            if part.confidence is None or part.accuracy is None:
                continue
            middle, width = (part.low + part.high) / 2, 0.92 * (part.high - part.low)
            shares = f"confidence {part.confidence:.1%}, accuracy {part.accuracy:.1%}"
            upper = accuracy.bar(middle, part.accuracy, width, color=PALETTE["bar"])
            lower = counts.bar(middle, part.count, width, color=PALETTE["muted"])
            for bar in (*upper, *lower):
                note(bar, f"{part.count} videos: {shares}")
            ends = middle - width / 2, middle + width / 2
            accuracy.plot(ends, (part.confidence,) * 2, color=PALETTE["other"])
        accuracy.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.005))
        counts.set(ylabel="videos", xlabel="confidence")
        counts.locator_params(axis="y", integer=True, nbins=4)
        for axis in (accuracy.yaxis, counts.xaxis):
            axis.set_major_formatter(lambda share, _: percent(share, 0))
        figure.align_ylabels()
    return figure


def _facts(report: EvaluationReport) -> list[tuple[str, str]]:
    told = report.facts
    rows = [("Videos", f"{report.num_scored} scored of {report.num_listed} listed")]
    if told.get("views_text"):
        rows.append(("Views", told["views_text"]))
    if told.get("average"):
        averages = {"softmax": "the views' probabilities", "logits": "the views' logits"}
        rows.append(("Average over views", f"mean of {averages[told['average']]}"))
    rows += told.get("ensemble", {}).items()
    if told.get("parameters"):
        rows.append(("Parameters", f"{told['parameters'] / 1e6:.2f} million"))
    if identity := told.get("identity"):
        rows.append(("Weights", f"SHA-256 {identity['weights']}"))
        rows.append(("Run", f"seed {identity['seed']}, {identity['backend']} backend"))
    if told.get("versions"):
        named = [f"{name} {version}" for name, version in told["versions"].items()]
        rows.append(("Versions", ", ".join(named)))
    return rows


def _views(report: EvaluationReport) -> dict[str, Any]:
    """The curve, the names of its lines and the table of its points, if there are several."""
    order = sorted(report.view_curve, key=lambda point: point.num_clips * point.num_crops)
    rows, lines = [], []
    for point in order:
        views = point.num_clips, point.num_crops, point.num_clips * point.num_crops
        rows.append((*views, percent(point.top1), percent(point.top5)))
    for num_crops in sorted({point.num_crops for point in order}):
        chosen = [point for point in report.view_curve if point.num_crops == num_crops]
        points = [(float(point.num_clips * num_crops), point.top1) for point in chosen]
        lines.append(Line("1 crop" if num_crops == 1 else f"{num_crops} crops", points))
    curve = None
    if len(order) > 1:
        names = "views per video", "top-1 accuracy"
        figure = curves(lines, *names, log_x=True, marks=True, legend=False)
        curve = inline_svg(figure, "accuracy by number of views")
    return {"view_curve": curve, "view_names": [line.name for line in lines], "view_rows": rows}


def _class_bars(report: EvaluationReport, confusion: np.ndarray, many: bool) -> list[Bar]:
    order = list(enumerate(report.classes))
    if many:
        # Classes without videos last; there is nothing to say of them.
        order.sort(key=lambda each: (not each[1].count, each[1].accuracy or 0.0, -each[1].count))
    bars = []
    for number, result in order:
        text = f"{percent(result.accuracy, 0)} of {result.count}" if result.count else "no video"
        is_low = result.accuracy is not None and result.accuracy < report.top1 / 2
        taken = "" if many else _most_often(report, confusion[number], number)
        bars.append(Bar(result.name, result.accuracy, text, taken, is_low))
    return bars


def _most_often(report: EvaluationReport, row: np.ndarray, number: int) -> str:
    wrong = row.copy()
    wrong[number] = 0
    most = [other for other in np.argsort(-wrong, kind="stable")[:3] if wrong[other]]
    names = [f"{report.class_names[other]} ({wrong[other]})" for other in most]
    return f"also taken for {', '.join(names)}" if names else ""


def _confusions(report: EvaluationReport, confusion: np.ndarray) -> list[tuple[object, ...]]:
    """The most frequent ones: true class, predicted class, videos, share of the class."""
    names = report.class_names
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSIONS]
    shares = wrong / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return [
        (names[true], names[said], wrong[true, said], percent(shares[true, said], 0))
        for true, said in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, said]
    ]


def _pictures(
    path: str, frames: FrameReader | None, rows: Mapping[str, int]
) -> list[Picture] | None:
    """Frames of a video; `None` if it can no longer be read."""
    if frames is None or path not in rows:
        return []
    try:
        # In order, and each once: so `read` wants them.
        sampler = SegmentSampler(PICTURES_PER_VIDEO, frames_per_segment=1)
        pictures = frames.read(rows[path], lambda count: np.unique(sampler(count)))
    except Exception:
        # It was read before; a page without it is better than none, whatever the decoder says.
        return None
    return strip(list(pictures), f"video {rows[path]}")
