"""Several models on the same videos, as one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_tdn.evaluation.report import EvaluationReport, report_on_averages
from keras_tdn.evaluation.scores import Scores, load_scores
from keras_tdn.scoring.scorer import average_views, view_chunks

EnsembleMethod = Literal["softmax", "clipped_logits"]

METHODS = {
    "softmax": "mean of the models' probabilities",
    "clipped_logits": "sum of logits clipped at zero, as the authors take it",
}


def ensemble(
    models: Sequence[Scores | str | os.PathLike[str]], method: EnsembleMethod = "softmax"
) -> EvaluationReport:
    """The report on several models together, on the videos that every model could read.

    Use it on what `evaluate` wrote, for the "8 + 16" results of the TDN paper (section 4).

    Args:
        models: At least two, on one list: `Scores`, paths of `scores.npz`, or of their folders.
        method: `"softmax"`: the mean of the models' probabilities, each averaged over its views.
            `"clipped_logits"`, as in the authors' script: the mean over views of logits clipped at
            zero, summed over models. Without probabilities, the report has no loss and calibration.

    Raises:
        ValueError: if videos, labels or classes differ, or scores are no logits but have to be.

    Example:

    >>> ensemble(["results_8", "results_16"]).top1
    0.682
    """
    if method not in METHODS:
        raise ValueError(f"An ensemble's `method` is one of {list(METHODS)}. Received: {method!r}")
    loaded = [model if isinstance(model, Scores) else load_scores(model) for model in models]
    if len(loaded) < 2:
        raise ValueError(f"An ensemble has at least two models. Received: {len(loaded)}")
    common = _common_rows(loaded)
    if method == "softmax":
        parts = [average_views(scores.view_scores, scores.kind)[0] for scores in loaded]
    else:
        parts = [_clipped_mean(scores) for scores in loaded]
    parts = [part[rows] for part, rows in zip(parts, common, strict=True)]
    joined = np.mean(parts, axis=0) if method == "softmax" else np.sum(parts, axis=0)
    videos, facts = _restricted(loaded, common[0]), _facts(loaded, method)
    return report_on_averages(videos, joined, facts, are_probabilities=method == "softmax")


def _clipped_mean(scores: Scores) -> np.ndarray:
    if scores.kind != "logits":
        raise ValueError(
            f"The scores of {scores.facts.get('model')!r} are probabilities, and clipped logits "
            "need logits. Evaluate a model whose last layer is a softmax over logits, or none; or "
            "take method='softmax'."
        )
    means = [np.maximum(chunk, 0).mean(axis=1) for chunk in view_chunks(scores.view_scores)]
    return np.concatenate(means)


def _common_rows(loaded: Sequence[Scores]) -> list[list[int]]:
    """For each model the rows of the videos that all could read, in the same order."""
    first = loaded[0]
    for other in loaded[1:]:
        if (other.classes, other.class_names) != (first.classes, first.class_names):
            raise ValueError(
                "The models of an ensemble have the same classes in the same order. Received: "
                f"{_classes_of(first)} and {_classes_of(other)}"
            )
        if _listed(other) != _listed(first):
            raise ValueError(
                "The models of an ensemble are evaluated on the same list of videos, and these "
                f"are not: {first.num_listed} and {other.num_listed} videos, of which "
                f"{len(_listed(first) & _listed(other))} are in both. Evaluate both on one list."
            )
    rows = [{video: row for row, video in enumerate(_videos(scores))} for scores in loaded]
    shared = [video for video in rows[0] if all(video in other for other in rows[1:])]
    common = [[of_model[video] for video in shared] for of_model in rows]
    labels = [scores.labels[of_model] for scores, of_model in zip(loaded, common, strict=True)]
    if any((labels[0] != other).any() for other in labels[1:]):
        raise ValueError(
            "The models of an ensemble are evaluated on the same labels, and these differ. "
            "Evaluate both on one list."
        )
    return common


def _videos(scores: Scores) -> list[tuple[str, int]]:
    return list(zip(scores.paths, scores.indices.tolist(), strict=True))


def _listed(scores: Scores) -> set[tuple[str, int]]:
    return {*_videos(scores), *((failure.path, failure.index) for failure in scores.failures)}


def _restricted(loaded: Sequence[Scores], rows: list[int]) -> Scores:
    """The first model's videos, without those that another could not read."""
    first = loaded[0]
    failures = {(bad.path, bad.index): bad for scores in loaded for bad in scores.failures}
    return dataclasses.replace(
        first,
        view_scores=first.view_scores[rows],
        labels=first.labels[rows],
        paths=tuple(first.paths[row] for row in rows),
        indices=first.indices[rows],
        failures=tuple(sorted(failures.values(), key=lambda failure: failure.index)),
    )


def _facts(loaded: Sequence[Scores], method: EnsembleMethod) -> dict[str, Any]:
    names = [str(scores.facts.get("model")) for scores in loaded]
    described: dict[str, Any] = {"Ensemble": METHODS[method]}
    for number, (name, scores) in enumerate(zip(names, loaded, strict=True), start=1):
        weights = scores.facts.get("identity", {}).get("weights", "")[:16]
        views = scores.facts.get("views_text")
        described[f"Model {number}"] = f"{name}; {views}; weights {weights}"
    return {"model": " + ".join(names), "ensemble": described}


def _classes_of(scores: Scores) -> str:
    names = scores.class_names
    named = "without names" if names is None else f"{list(names[:3])}..."
    return f"{scores.classes} classes {named}"
