"""What an evaluation found, as numbers a program can use."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_tdn.data.failures import Failure
from keras_tdn.evaluation import metrics
from keras_tdn.evaluation.scores import Scores, reading
from keras_tdn.files.atomic import write_beside
from keras_tdn.pages.confusion import row_shares
from keras_tdn.scoring.scorer import Average, average_views
from keras_tdn.specs import ViewSpec

FORMAT = "keras_tdn evaluation 1"
# Numbers of clips that a curve has a point for, if there are as many.
CURVE_CLIPS = (1, 3, 5, 10, 30)
# Where the centre is among the crops of each set.
CENTER_CROP = {1: 0, 3: 2, 10: 8}


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What became of one video.

    `rank` is how many classes come before the true one, `label`. `confidence` and `truth` are the
    shares of the scores, or the probabilities, of `predicted` and `label`.
    """

    path: str
    index: int
    label: int
    predicted: int
    rank: int
    confidence: float
    truth: float


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """How many videos of one class there are, and are right; `accuracy` is `None` without any."""

    name: str
    count: int
    correct: int
    accuracy: float | None


@dataclasses.dataclass(frozen=True)
class ViewPoint:
    """What some of the views of the run would have given: clips, and crops of each."""

    num_clips: int
    num_crops: int
    top1: float
    top5: float


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate`, `report_on` or `ensemble` found; shares are of the videos that were read.

    Args:
        facts: What was evaluated, and how: names and values that JSON can hold.
        class_names: Names of the classes; `class 0` and so on where they are not known.
        num_listed: Videos in the list.
        num_scored: Those that could be read.
        failures: The others.
        top1: Share of videos whose first guess is right, from 0 to 1.
        top1_interval: Where it lies with 95 % confidence, by the number of videos (Wilson).
        top5: Share of videos with the right class among the first five.
        mean_class_accuracy: Mean of the classes' accuracies, of those that have a video.
        loss: Mean cross entropy; `None` if the scores are no probabilities.
        calibration_error: Expected calibration error; `None` likewise.
        calibration_bins: What it is made of.
        classes: By class.
        view_curve: By views; empty for ensembles.
        videos: By video, in the order of the list.
    """

    facts: Mapping[str, Any]
    class_names: tuple[str, ...]
    num_listed: int
    num_scored: int
    failures: tuple[Failure, ...]
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    mean_class_accuracy: float
    loss: float | None
    calibration_error: float | None
    calibration_bins: tuple[metrics.CalibrationBin, ...]
    classes: tuple[ClassResult, ...]
    view_curve: tuple[ViewPoint, ...]
    videos: tuple[VideoResult, ...]

    @property
    def confusion(self) -> np.ndarray:
        """Videos of each class (rows) by the class they were given (columns); int64."""
        labels = np.array([video.label for video in self.videos])
        predicted = np.array([video.predicted for video in self.videos])
        return metrics.confusion_matrix(labels, predicted, len(self.class_names))

    def mistakes(self, count: int | None = None) -> list[VideoResult]:
        """The videos whose first guess is wrong, the most confident first; `count` at most."""
        wrong = [video for video in self.videos if video.rank > 0]
        return sorted(wrong, key=lambda video: -video.confidence)[:count]

    def summary(self) -> str:
        """The main numbers in a few lines of text."""
        low, high = self.top1_interval
        rows = [
            ("videos", f"{self.num_scored} scored of {self.num_listed} listed"),
            ("views", str(self.facts.get("views_text", ""))),
            ("top-1", f"{self.top1:.2%} (95 %: {low:.1%} to {high:.1%})"),
            ("top-5", f"{self.top5:.2%}"),
            ("mean class accuracy", f"{self.mean_class_accuracy:.2%}"),
        ]
        if self.loss is not None and self.calibration_error is not None:
            rows.append(("loss", f"{self.loss:.4f}"))
            rows.append(("calibration error", f"{self.calibration_error:.2%}"))
        if self.failures:
            rows.append(("unreadable", f"{len(self.failures)}, excluded from all numbers"))
        return "".join(f"{name:<20} {text}\n" for name, text in rows if text)

    def to_json(self) -> str:
        """A JSON text; `load_report` reads it from a file."""
        fields = dataclasses.asdict(self)
        videos, confusion = fields.pop("videos"), self.confusion
        # Of 400 classes nearly all pairs are empty.
        used = np.argwhere(confusion).tolist()
        fields["confusion"] = [[*pair, int(confusion[tuple(pair)])] for pair in used]
        names = [field.name for field in dataclasses.fields(VideoResult)]
        fields["videos"] = {name: [video[name] for video in videos] for name in names}
        return json.dumps({"format": FORMAT, **fields}, indent=1) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json` to a file, which is replaced as a whole or not at all."""
        write_beside(path, self.to_json().encode())


def load_report(path: str | os.PathLike[str]) -> EvaluationReport:
    """Reads a `report.json`, by its path or that of its folder.

    Raises:
        ValueError: if there is no such file, or it is something else.

    Example:

    >>> load_report("results").top1
    0.75
    """
    with reading(path, "report", "report.json") as file:
        fields = json.loads(file.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise KeyError("format")
        fields.pop("confusion")
        columns = fields.pop("videos")
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        fields["videos"] = tuple(VideoResult(**row) for row in rows)
        kinds = {"calibration_bins": metrics.CalibrationBin, "view_curve": ViewPoint}
        for name, kind in {"failures": Failure, "classes": ClassResult, **kinds}.items():
            fields[name] = tuple(kind(**entry) for entry in fields[name])
        for name in ("class_names", "top1_interval"):
            fields[name] = tuple(fields[name])
        return EvaluationReport(**fields)


def report_on(scores: Scores, average: Average = "softmax") -> EvaluationReport:
    """The report on scores of views, such as those of an earlier run; for `average` see `evaluate`.

    Raises:
        ValueError: if no video could be read, or there is no such average.

    Example:

    >>> report_on(load_scores("results"), average="logits").top1
    0.76
    """
    _check_any(scores)
    subsets = view_subsets(scores.views)
    by_subset = average_views(scores.view_scores, scores.kind, average, list(subsets.values()))
    curve = []
    for counts, averaged in zip(subsets, by_subset, strict=True):
        ranks = metrics.ranks_of_truth(averaged, scores.labels)
        curve.append(ViewPoint(*counts, _share_below(ranks, 1), _share_below(ranks, 5)))
    return report_on_averages(scores, by_subset[-1], {**scores.facts, "average": average}, curve)


def view_subsets(views: ViewSpec) -> dict[tuple[int, int], tuple[int, ...]]:
    """Returns the smaller sets of views that a run can report on, by how many clips and crops.

    The last is all views. Of clips at equal steps, those are taken that divide the video most
    evenly; they are not quite the clips of a run with fewer.
    """
    total = views.num_clips
    subsets = {}
    for num_crops in sorted({1, views.num_crops}):
        center = CENTER_CROP[views.num_crops]
        crops = range(views.num_crops) if num_crops == views.num_crops else (center,)
        for count in (*(count for count in CURVE_CLIPS if count < total), total):
            if views.clip_mode == "random":
                # Those of a run with fewer.
                clips = list(range(count))
            else:
                clips = [(2 * number + 1) * total // (2 * count) for number in range(count)]
            starts = [clip * views.num_crops for clip in clips]
            subsets[count, num_crops] = tuple(start + crop for start in starts for crop in crops)
    return subsets


def report_on_averages(
    scores: Scores,
    averaged: np.ndarray,
    facts: Mapping[str, Any],
    view_curve: Sequence[ViewPoint] = (),
    *,
    are_probabilities: bool = True,
) -> EvaluationReport:
    """The report on one row of non-negative scores per video, floats `(videos, classes)`.

    Loss and calibration are left out of scores that are no probabilities.
    """
    _check_any(scores)
    labels = scores.labels
    ranks = metrics.ranks_of_truth(averaged, labels)
    predicted = averaged.argmax(axis=1)
    shares = row_shares(averaged)
    confidences = np.take_along_axis(shares, predicted[:, np.newaxis], axis=1)[:, 0]
    truths = np.take_along_axis(shares, labels[:, np.newaxis], axis=1)[:, 0]
    error, bins = metrics.calibration(confidences, ranks == 0)
    confusion = metrics.confusion_matrix(labels, predicted, scores.classes)
    columns = (scores.indices, labels, predicted, ranks, confidences, truths)
    names = scores.class_names or tuple(f"class {number}" for number in range(scores.classes))
    totals, rights = confusion.sum(axis=1).tolist(), np.diag(confusion).tolist()
    correct = sum(rights)
    return EvaluationReport(
        facts=json.loads(json.dumps(facts)),
        class_names=names,
        num_listed=scores.num_listed,
        num_scored=len(labels),
        failures=scores.failures,
        top1=correct / len(labels),
        top1_interval=metrics.wilson_interval(correct, len(labels)),
        top5=_share_below(ranks, 5),
        mean_class_accuracy=metrics.mean_class_accuracy(confusion),
        loss=metrics.cross_entropy(averaged, labels, scores.kind) if are_probabilities else None,
        calibration_error=error if are_probabilities else None,
        calibration_bins=bins if are_probabilities else (),
        classes=tuple(
            ClassResult(name, total, right, right / total if total else None)
            for name, total, right in zip(names, totals, rights, strict=True)
        ),
        view_curve=tuple(view_curve),
        videos=tuple(map(VideoResult, scores.paths, *(column.tolist() for column in columns))),
    )


def _share_below(ranks: np.ndarray, limit: int) -> float:
    return float((ranks < limit).mean())


def _check_any(scores: Scores) -> None:
    if not scores.paths:
        raise ValueError(
            f"None of the {scores.num_listed} videos could be read, so that there is nothing to "
            "report. `keras-tdn check` reports what is wrong with them."
        )
