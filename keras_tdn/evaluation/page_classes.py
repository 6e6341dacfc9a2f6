"""What the page of a report says of classes and of confidence."""

from __future__ import annotations

import numpy as np

from keras_tdn.evaluation.report import EvaluationReport
from keras_tdn.html import (
    Bar,
    Plot,
    bar_chart,
    heat_picture,
    heat_table,
    percent,
    section,
    table,
)

# Up to here a matrix of numbers can be read.
MAX_TABLE_CLASSES = 40
# From here on classes stand in columns, the worst first.
MANY_CLASSES = 24
MAX_CONFUSIONS = 25


def classes_section(report: EvaluationReport) -> str:
    """A bar for each class."""
    confusion = report.confusion
    many = len(report.classes) > MANY_CLASSES
    order = list(range(len(report.classes)))
    if many:
        # Classes without videos last; there is nothing to say of them.
        order = sorted(
            order,
            key=lambda number: (
                report.classes[number].accuracy is None,
                report.classes[number].accuracy or 0.0,
                -report.classes[number].count,
            ),
        )
    bars = []
    for number in order:
        result = report.classes[number]
        note = "" if many else _most_often(report, confusion, number)
        text = f"{percent(result.accuracy, 0)} of {result.count}" if result.count else "no video"
        marked = result.accuracy is not None and result.accuracy < report.top1 / 2
        bars.append(Bar(result.name, result.accuracy, text, note, marked))
    explained = "Share of each class' videos whose first guess is right"
    explained += ", the worst first" if many else ""
    if any(bar.marked for bar in bars):
        explained += "; in the second colour, less than half of the overall accuracy"
    return section("By class", bar_chart(bars, columns=3 if many else 1), f"{explained}.")


def _most_often(report: EvaluationReport, confusion: np.ndarray, number: int) -> str:
    wrong = confusion[number].copy()
    wrong[number] = 0
    if not wrong.any():
        return ""
    names = [
        f"{report.class_names[other]} ({wrong[other]})"
        for other in np.argsort(-wrong, kind="stable")[:3]
        if wrong[other]
    ]
    return f"also taken for {', '.join(names)}"


def confusion_section(report: EvaluationReport) -> str:
    """The confusion matrix and the most frequent confusions."""
    confusion = report.confusion
    names = report.class_names
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSIONS]
    rows = []
    for true, said in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[true, said]:
            share = percent(wrong[true, said] / confusion[true].sum(), 0)
            rows.append([names[true], names[said], int(wrong[true, said]), share])
    if len(names) <= MAX_TABLE_CLASSES:
        matrix = heat_table(confusion, names, row_name="true class", column_name="predicted class")
        note = "Numbers are videos; the colour is the share of the row."
    else:
        matrix = heat_picture(confusion, f"confusion matrix of {len(names)} classes")
        note = (
            "Each row is a true class and each column a predicted one, both in the order of the "
            "labels, from the upper left. The colour is the share of the row, small shares drawn "
            "darker than they are."
        )
    pairs = (
        f"<div><h3>Most frequent confusions</h3>"
        f"{table(['true class', 'predicted class', 'videos', 'of the class'], rows)}</div>"
        if rows
        else "<p>Nothing was confused.</p>"
    )
    return section("Confusion", f'<div class="beside">{matrix}{pairs}</div>', note)


def calibration_section(report: EvaluationReport) -> str:
    """Accuracy by confidence; nothing where scores are no probabilities."""
    if report.calibration_error is None:
        return ""
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def whole(share: float) -> str:
        return percent(share, 0)

    plot = Plot(
        (0, 1), (0, 1), ticks, ticks, "confidence", "accuracy", x_text=whole, y_text=whole,
        width=460, height=380,
    )  # fmt: skip
    most = max(bin.count for bin in report.calibration_bins)
    counts = Plot(
        (0, 1), (0, most), ticks, (0, most), "confidence", "videos", x_text=whole,
        width=460, height=170,
    )  # fmt: skip
    for part in report.calibration_bins:
        if part.confidence is None or part.accuracy is None:
            continue
        low, high = part.low + 0.004, part.high - 0.004
        note = (
            f"{part.count} videos: confidence {part.confidence:.1%}, accuracy {part.accuracy:.1%}"
        )
        plot.rectangle(low, 0, high, part.accuracy, note=note)
        plot.line([(low, part.confidence), (high, part.confidence)], "var(--other)")
        counts.rectangle(low, 0, high, part.count, "var(--muted)", note=note)
    plot.line([(0, 0), (1, 1)], "var(--muted)", dashed=True)
    return section(
        "Calibration",
        f'<div class="beside"><div>{plot.svg("accuracy by confidence")}</div>'
        f"<div>{counts.svg('videos by confidence')}</div></div>",
        f"Whether {percent(0.8, 0)} confidence is right in {percent(0.8, 0)} of cases: bars are "
        "the accuracy of videos of like confidence, the short lines their mean confidence. The "
        f"mean distance of the two, by videos, is {percent(report.calibration_error)}.",
    )
