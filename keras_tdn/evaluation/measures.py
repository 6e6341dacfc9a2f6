"""Accuracy, confusion and calibration, as arithmetic on scores and labels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

# Probabilities are cut off here before their logarithm is taken. A model that gives nothing else
# may give 0, which Keras cuts off here too; out of logits they are as small as doubles can be.
LEAST_PROBABILITY = {"probabilities": 1e-7, "logits": 1e-300}
CALIBRATION_BINS = 15
# Of the normal distribution, for intervals of 95 %.
Z_95 = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Videos of like confidence.

    Args:
        low: Confidence that they are above.
        high: Confidence that they are not above.
        count: How many there are.
        confidence: Their mean confidence; `None` without any.
        accuracy: Share of them that is right; `None` without any.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def ranks_of_truth(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes come before the true one; 0 if it is predicted.

    Equal scores are in the order of the classes, as `argmax` has them.

    Args:
        scores: Floats of shape `(videos, classes)`.
        labels: Integers of shape `(videos,)`.

    Returns:
        int64 of shape `(videos,)`.
    """
    truth = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, np.newaxis]
    return ((scores > truth) | ((scores == truth) & earlier)).sum(axis=1)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many videos of each class (rows) were given each class (columns); int64."""
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def mean_class_accuracy(confusion: np.ndarray) -> float:
    """Mean of the accuracies of those classes that have a video."""
    totals = confusion.sum(axis=1)
    present = totals > 0
    return float(np.mean(np.diag(confusion)[present] / totals[present]))


def calibration(
    confidences: np.ndarray, correct: np.ndarray, num_bins: int = CALIBRATION_BINS
) -> tuple[float, tuple[CalibrationBin, ...]]:
    """Expected calibration error, and what it is made of.

    Bins are of equal width and hold what is above their low end and not above their high one: Guo
    et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        confidences: Probabilities of the predicted classes, of shape `(videos,)`.
        correct: Whether they are right, of shape `(videos,)`.
        num_bins: Number of bins.

    Returns:
        The mean distance of confidence and accuracy over the bins, weighted by videos; and the
        bins.
    """
    places = calibration_bin(confidences, num_bins)
    bins = []
    error = 0.0
    for number in range(num_bins):
        inside = places == number
        count = int(inside.sum())
        confidence = float(confidences[inside].mean()) if count else None
        accuracy = float(correct[inside].mean()) if count else None
        if confidence is not None and accuracy is not None:
            error += count / len(confidences) * abs(confidence - accuracy)
        low, high = number / num_bins, (number + 1) / num_bins
        bins.append(CalibrationBin(low, high, count, confidence, accuracy))
    return error, tuple(bins)


def calibration_bin(confidences: np.ndarray, num_bins: int) -> np.ndarray:
    """Number of the bin of each confidence."""
    return np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray, kind: str = "logits") -> float:
    """Mean of the negative logarithm of the true classes' probabilities.

    Args:
        probabilities: Floats of shape `(videos, classes)`.
        labels: Integers of shape `(videos,)`.
        kind: Whether they come of `"logits"` or of `"probabilities"`.
    """
    truth = np.take_along_axis(probabilities, labels[:, np.newaxis], axis=1)
    return float(-np.log(np.maximum(truth, LEAST_PROBABILITY[kind])).mean())


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Where a share lies with 95 % confidence, seen that many times in that many trials."""
    share = successes / total
    spread = Z_95**2 / total
    center = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, center - half), min(1.0, center + half)
