"""From the scores of views to the scores of videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from keras_tdn.evaluation.scoring import ScoreKind
from keras_tdn.specs import ViewSpec

Average = Literal["softmax", "logits"]

# Views are averaged in double precision, some at a time.
CHUNK_VALUES = 2**22
# Numbers of clips that a curve has a point for, if there are as many.
CURVE_CLIPS = (1, 3, 5, 10, 30)
# Where the centre is among the crops of each set.
CENTER_CROP = {1: 0, 3: 2, 10: 8}


@dataclasses.dataclass(frozen=True)
class ViewSubset:
    """Some of the views of a video.

    Args:
        num_clips: Clips among them.
        num_crops: Crops of each clip among them.
        views: Their numbers.
    """

    num_clips: int
    num_crops: int
    views: tuple[int, ...]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, in double precision."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def average_views(
    view_scores: np.ndarray,
    kind: ScoreKind,
    average: Average = "softmax",
    subsets: Sequence[Sequence[int]] | None = None,
) -> list[np.ndarray]:
    """Probabilities of each video, averaged over its views.

    Args:
        view_scores: Scores of shape `(videos, views, classes)`.
        kind: Whether they are logits or probabilities.
        average: `"softmax"`: the mean of the views' probabilities, as the authors take it;
            `"logits"`: the softmax of the mean of their logits.
        subsets: Numbers of the views to average; all of them by default. One result for each.

    Returns:
        For each subset, float64 of shape `(videos, classes)`, rows summing to 1.

    Raises:
        ValueError: if there is no such average, or no logits.

    Example:

    >>> average_views(np.array([[[0.0, 0.0], [0.0, 5.0]]]), "logits")[0].round(3)
    array([[0.253, 0.747]])
    """
    if average not in get_args(Average):
        raise ValueError(
            f"Views are averaged by one of {list(get_args(Average))}. Received: average={average!r}"
        )
    if average == "logits" and kind != "logits":
        raise ValueError(
            "Only logits can be averaged before the softmax, and this model gives probabilities. "
            "Pass average='softmax'."
        )
    num_videos, num_views, classes = view_scores.shape
    chosen = [list(subset) for subset in (subsets or [range(num_views)])]
    results = [np.empty((num_videos, classes)) for _ in chosen]
    chunk = max(1, CHUNK_VALUES // (num_views * classes))
    for start in range(0, num_videos, chunk):
        scores = view_scores[start : start + chunk].astype(np.float64)
        if kind == "logits" and average == "softmax":
            scores = softmax(scores)
        for result, subset in zip(results, chosen, strict=True):
            mean = scores[:, subset].mean(axis=1)
            result[start : start + chunk] = softmax(mean) if average == "logits" else mean
    return results


def view_subsets(views: ViewSpec) -> list[ViewSubset]:
    """The smaller numbers of views that one run tells about.

    Random clips are taken from the first on, which makes them those of a run with fewer. Of clips
    at equal steps, those are taken that divide the video most evenly; they are not quite the clips
    of a run with fewer.

    Args:
        views: The views of the run.

    Returns:
        By crops and then clips; the last is all views.

    Example:

    >>> [(subset.num_clips, subset.num_crops) for subset in view_subsets(ViewSpec(10, 3))]
    [(1, 1), (3, 1), (5, 1), (10, 1), (1, 3), (3, 3), (5, 3), (10, 3)]
    """
    clip_counts = sorted(
        {*(count for count in CURVE_CLIPS if count < views.num_clips), views.num_clips}
    )
    subsets = []
    for num_crops in sorted({1, views.num_crops}):
        center = CENTER_CROP[views.num_crops]
        crops = range(views.num_crops) if num_crops == views.num_crops else (center,)
        for num_clips in clip_counts:
            clips = _spread(num_clips, views.num_clips)
            if views.clip_mode == "random":
                clips = list(range(num_clips))
            numbers = tuple(clip * views.num_crops + crop for clip in clips for crop in crops)
            subsets.append(ViewSubset(num_clips, num_crops, numbers))
    return subsets


def _spread(count: int, total: int) -> list[int]:
    """`count` of `total` numbers, each in the middle of its part."""
    return [(2 * number + 1) * total // (2 * count) for number in range(count)]
