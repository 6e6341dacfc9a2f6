"""Metrics that plug into `compile`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.evaluation.measures import CALIBRATION_BINS
from keras_tdn.layers.common import SERIALIZATION_PACKAGE
from keras_tdn.layers.validation import check_positive_int


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class MeanClassAccuracy(keras.metrics.Metric):
    """Mean over the classes of the share of each class' samples that is right.

    Use it in `compile` where some classes have many more videos than others, which plain accuracy
    favours. Classes without a sample are left out of the mean.

    Args:
        num_classes: Number of classes.
        name: Name of the metric.
        dtype: Its dtype; float32 counts up to 16 million samples of a class exactly.

    Call arguments:
        y_true: Class indices of shape `(batch,)` or `(batch, 1)`, or one-hot labels.
        y_pred: Scores of shape `(batch, num_classes)`: probabilities or logits.
        sample_weight: Weight of each sample, of shape `(batch,)`.

    Raises:
        ValueError: if `num_classes` is not a positive integer.

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
        present = ops.cast(self.total > 0, self.dtype)
        shares = ops.divide_no_nan(self.correct, self.total)
        return ops.divide_no_nan(ops.sum(shares), ops.sum(present))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class ExpectedCalibrationError(keras.metrics.Metric):
    """Mean distance of confidence and accuracy, over samples of like confidence.

    Use it in `compile` to see whether a model's probabilities can be believed. Confidences, from 0
    to 1, are divided into bins of equal width.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; arXiv:1706.04599.

    Args:
        num_bins: Number of bins.
        from_logits: Whether scores are logits.
        name: Name of the metric.
        dtype: Its dtype.

    Call arguments:
        y_true: Class indices of shape `(batch,)` or `(batch, 1)`, or one-hot labels.
        y_pred: Scores of shape `(batch, classes)`.
        sample_weight: Weight of each sample, of shape `(batch,)`.

    Raises:
        ValueError: if `num_bins` is not a positive integer.

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
        distances = ops.abs(self.confidence - self.correct)
        return ops.divide_no_nan(ops.sum(distances), self.total)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
        }


def _as_flat(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Returns class indices, scores and weights, one row for each sample.

    Args:
        y_true: Class indices, of the shape of `y_pred` without its last axis or with 1 there; or
            weights per class, of the shape of `y_pred`, whose largest counts.
        y_pred: Scores of shape `(..., classes)`.
        sample_weight: Weights of the samples, or `None`.

    Returns:
        int32 `(samples,)`, float32 `(samples, classes)` and float32 `(samples,)`.
    """
    y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
    y_true = ops.convert_to_tensor(y_true)
    classes = y_pred.shape[-1]
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == classes and classes != 1:
        y_true = ops.argmax(y_true, axis=-1)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    scores = ops.reshape(y_pred, (-1, classes))
    if sample_weight is None:
        return labels, scores, ops.ones_like(scores[:, 0])
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    weights = ops.broadcast_to(ops.reshape(weights, (-1,)), ops.shape(labels))
    return labels, scores, weights
