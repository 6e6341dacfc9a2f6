"""The report as a page that any browser shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from keras_tdn.evaluation.page_classes import (
    calibration_section,
    classes_section,
    confusion_section,
)
from keras_tdn.evaluation.page_mistakes import STYLE, mistakes_section
from keras_tdn.evaluation.report import EvaluationReport
from keras_tdn.files.atomic import written_beside
from keras_tdn.html import (
    Line,
    Tile,
    document,
    facts,
    line_chart,
    percent,
    section,
    table,
    tiles,
)
from keras_tdn.scoring.views import FrameReader

MAX_FAILURES = 50


def write_page(
    report: EvaluationReport,
    path: str | os.PathLike[str],
    frames: FrameReader | None = None,
    rows: Mapping[str, int] | None = None,
) -> None:
    """Writes one HTML file that needs no other.

    Args:
        report: The report.
        path: Path of the file. It is replaced as a whole, or not at all.
        frames: Reads frames of the videos, for pictures of the mistakes; without it there are none.
        rows: Rows of the videos in that reader, by path.

    Example:

    >>> write_page(load_report("results"), "results/report.html")
    """
    body = "".join(
        (
            _numbers(report),
            _view_curve(report),
            classes_section(report),
            confusion_section(report),
            calibration_section(report),
            mistakes_section(report, frames, rows or {}),
            _failures(report),
        )
    )
    title = f"Evaluation of {report.facts.get('model', 'a model')}"
    lead = f"{report.num_scored} videos, {len(report.class_names)} classes."
    with written_beside(Path(path)) as temporary:
        temporary.write_text(document(title, body, lead=lead, style=STYLE), encoding="utf-8")


def _numbers(report: EvaluationReport) -> str:
    low, high = report.top1_interval
    correct = sum(video.rank == 0 for video in report.videos)
    items = [
        Tile(
            percent(report.top1),
            "top-1 accuracy",
            f"{correct} of {report.num_scored} videos; 95 %: {100 * low:.0f} to {100 * high:.0f} %",
        )
    ]
    if len(report.class_names) > 5:
        items.append(Tile(percent(report.top5), "top-5 accuracy"))
    items.append(
        Tile(percent(report.mean_class_accuracy), "mean class accuracy", _class_count(report))
    )
    if report.loss is not None:
        items.append(Tile(percent(report.calibration_error), "calibration error"))
        items.append(Tile(f"{report.loss:.3f}", "cross entropy"))
    if report.failures:
        warning = (
            f'<p class="warning">{len(report.failures)} of {report.num_listed} videos could not be '
            f"read. All numbers are of the other {report.num_scored}; the reasons are at the end "
            "of the page.</p>"
        )
    else:
        warning = ""
    told = report.facts
    rows = [("Videos", f"{report.num_scored} scored of {report.num_listed} listed")]
    if told.get("views_text"):
        rows.append(("Views", told["views_text"]))
    if told.get("average"):
        rows.append(("Average over views", f"mean of {AVERAGES[told['average']]}"))
    for name, value in told.get("ensemble", {}).items():
        rows.append((name, value))
    if told.get("parameters"):
        rows.append(("Parameters", f"{told['parameters'] / 1e6:.2f} million"))
    identity = told.get("identity", {})
    if identity:
        rows.append(("Weights", f"SHA-256 {identity['weights']}"))
        rows.append(("Run", f"seed {identity['seed']}, {identity['backend']} backend"))
    if told.get("versions"):
        named = [f"{name} {version}" for name, version in told["versions"].items()]
        rows.append(("Versions", ", ".join(named)))
    return tiles(items) + warning + facts(rows)


AVERAGES = {"softmax": "the views' probabilities", "logits": "the views' logits"}


def _class_count(report: EvaluationReport) -> str:
    present = sum(result.count > 0 for result in report.classes)
    if present == len(report.classes):
        return f"of {present} classes"
    return f"of the {present} of {len(report.classes)} classes with videos"


def _view_curve(report: EvaluationReport) -> str:
    curve = report.view_curve
    if len(curve) < 2:
        return ""
    lines = []
    for num_crops in sorted({point.num_crops for point in curve}):
        points = [
            (float(point.num_clips * num_crops), point.top1)
            for point in curve
            if point.num_crops == num_crops
        ]
        name = "1 crop" if num_crops == 1 else f"{num_crops} crops"
        lines.append(Line(name, points))
    chart = line_chart(
        lines,
        "views per video",
        "top-1 accuracy",
        description="accuracy by number of views",
        log_x=True,
    )
    rows = [
        [point.num_clips, point.num_crops, point.num_clips * point.num_crops,
         percent(point.top1), percent(point.top5)]
        for point in sorted(curve, key=lambda point: point.num_clips * point.num_crops)
    ]  # fmt: skip
    return section(
        "What fewer views give",
        f'<div class="beside">{chart}'
        f"{table(['clips', 'crops', 'views', 'top-1', 'top-5'], rows)}</div>",
        "Subsets of the views of this run. A single view of it is a crop of this run's size; the "
        f"published single view may be smaller. One video is {percent(1 / report.num_scored)}: "
        "steps of a few videos are chance.",
    )


def _failures(report: EvaluationReport) -> str:
    if not report.failures:
        return ""
    rows = [[failure.path, failure.reason] for failure in report.failures[:MAX_FAILURES]]
    more = len(report.failures) - len(rows)
    note = "They are excluded from every number on this page."
    if more:
        note += f" {more} more are listed in report.json."
    return section("Videos that could not be read", table(["path", "reason"], rows), note)
