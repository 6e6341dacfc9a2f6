"""Accuracy, confusion and calibration: as arithmetic on arrays, and as metrics for `compile`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tdn.layers.layer_helpers import check_positive_int
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

# Probabilities are cut off here before their logarithm is taken. A model that gives nothing else
# may give 0, which Keras cuts off here too; out of logits they are as small as doubles can be.
LEAST_PROBABILITY = {"probabilities": 1e-7, "logits": 1e-300}
CALIBRATION_BINS = 15
# Of the normal distribution, for intervals of 95 %.
Z_95 = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Videos of like confidence, above `low` and not above `high`.

    `confidence` is their mean, and `accuracy` the share of them that is right; `None` without any.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def ranks_of_truth(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes come before the true one, int64 `(videos,)`; 0 if it is predicted.

    Equal scores are in the order of the classes, as `argmax` has them.
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
    """The error of `ExpectedCalibrationError`, and the bins of equal width that it is made of."""
    places = np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts = np.bincount(places, minlength=num_bins)
    sums = np.bincount(places, confidences, num_bins)
    rights = np.bincount(places, correct, num_bins)
    # Of nothing, where there is no video.
    means, accuracies = (total / np.maximum(counts, 1) for total in (sums, rights))
    bins = []
    for number, count in enumerate(counts.tolist()):
        found = (float(means[number]), float(accuracies[number])) if count else (None, None)
        bins.append(CalibrationBin(number / num_bins, (number + 1) / num_bins, count, *found))
    return float(np.abs(sums - rights).sum() / len(confidences)), tuple(bins)


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray, kind: str = "logits") -> float:
    """Mean of the negative logarithm of the true classes' probabilities."""
    truth = np.take_along_axis(probabilities, labels[:, np.newaxis], axis=1)
    return float(-np.log(np.maximum(truth, LEAST_PROBABILITY[kind])).mean())


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Where a share lies with 95 % confidence, seen that many times in that many trials."""
    share = successes / total
    spread = Z_95**2 / total
    center = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, center - half), min(1.0, center + half)


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class MeanClassAccuracy(keras.metrics.Metric):
    """Mean over the classes of the share of each class' samples that is right.

    Use it in `compile` where some classes have many more videos than others, which plain accuracy
    favours. Classes without a sample are left out of the mean.

    Args:
        num_classes: Number of classes, a positive integer.
        name: Name of the metric.
        dtype: Its dtype; float32 counts up to 16 million samples of a class exactly.

    Call arguments:
        y_true: Class indices of shape `(batch,)` or `(batch, 1)`, or one-hot labels.
        y_pred: Scores of shape `(batch, num_classes)`: probabilities or logits.
        sample_weight: Weight of each sample, of shape `(batch,)`.

    Example:

    >>> metric = MeanClassAccuracy(num_classes=2)
    >>> metric.update_state([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self, num_classes: int, name: str = "mean_class_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = check_positive_int("MeanClassAccuracy", "num_classes", num_classes)
        self._direction = "up"
        self.correct = self.add_variable((num_classes,), "zeros", name="correct")
        self.total = self.add_variable((num_classes,), "zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels, scores, weights = _as_flat(y_true, y_pred, sample_weight)
        right = ops.cast(ops.equal(ops.argmax(scores, axis=-1), labels), "float32")
        classes = ops.one_hot(labels, self.num_classes, dtype="float32")
        self.total.assign_add(ops.cast(ops.matmul(weights, classes), self.dtype))
        self.correct.assign_add(ops.cast(ops.matmul(weights * right, classes), self.dtype))

    def result(self) -> Any:
        shares = ops.divide_no_nan(self.correct, self.total)
        return ops.divide_no_nan(ops.sum(shares), ops.sum(ops.cast(self.total > 0, self.dtype)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class ExpectedCalibrationError(keras.metrics.Metric):
    """Mean distance of confidence and accuracy, over samples of like confidence.

    Use it in `compile` to see whether a model's probabilities can be believed. Confidences, from 0
    to 1, are divided into bins of equal width.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; arXiv:1706.04599.

    Args:
        num_bins: Number of bins, a positive integer.
        from_logits: Whether scores are logits.
        name: Name of the metric.
        dtype: Its dtype.

    Call arguments:
        y_true: Class indices of shape `(batch,)` or `(batch, 1)`, or one-hot labels.
        y_pred: Scores of shape `(batch, classes)`.
        sample_weight: Weight of each sample, of shape `(batch,)`.

    Example:

    >>> metric = ExpectedCalibrationError()
    >>> metric.update_state([0, 1], [[0.9, 0.1], [0.9, 0.1]])
    >>> round(float(metric.result()), 3)
    0.4
    """

    def __init__(
        self,
        num_bins: int = CALIBRATION_BINS,
        from_logits: bool = False,
        name: str = "expected_calibration_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_bins = check_positive_int("ExpectedCalibrationError", "num_bins", num_bins)
        self.from_logits = from_logits
        self._direction = "down"
        self.confidence = self.add_variable((num_bins,), "zeros", name="confidence")
        self.correct = self.add_variable((num_bins,), "zeros", name="correct")
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels, scores, weights = _as_flat(y_true, y_pred, sample_weight)
        if self.from_logits:
            scores = ops.softmax(scores, axis=-1)
        confidence = ops.max(scores, axis=-1)
        right = ops.cast(ops.equal(ops.argmax(scores, axis=-1), labels), "float32")
        places = ops.cast(ops.ceil(confidence * self.num_bins), "int32") - 1
        bins = ops.one_hot(ops.clip(places, 0, self.num_bins - 1), self.num_bins, dtype="float32")
        self.confidence.assign_add(ops.cast(ops.matmul(weights * confidence, bins), self.dtype))
        self.correct.assign_add(ops.cast(ops.matmul(weights * right, bins), self.dtype))
        self.total.assign_add(ops.cast(ops.sum(weights), self.dtype))

    def result(self) -> Any:
        return ops.divide_no_nan(ops.sum(ops.abs(self.confidence - self.correct)), self.total)

    def get_config(self) -> dict[str, Any]:
        own = {"num_bins": self.num_bins, "from_logits": self.from_logits}
        return {**super().get_config(), **own}


def _as_flat(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Returns labels int32 `(samples,)`, scores `(samples, classes)` and weights, float32."""
    y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
    y_true = ops.convert_to_tensor(y_true)
    classes = y_pred.shape[-1]
    # Weights per class, whose largest counts.
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == classes and classes != 1:
        y_true = ops.argmax(y_true, axis=-1)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    scores = ops.reshape(y_pred, (-1, classes))
    if sample_weight is None:
        return labels, scores, ops.ones_like(scores[:, 0])
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    weights = ops.broadcast_to(ops.reshape(weights, (-1,)), ops.shape(labels))
    return labels, scores, weights
