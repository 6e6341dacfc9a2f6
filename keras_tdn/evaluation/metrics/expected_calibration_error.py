"""How far confidence and accuracy lie apart."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.evaluation.measures import CALIBRATION_BINS
from keras_tdn.evaluation.metrics.labels import as_flat
from keras_tdn.layers.layer_helpers import check_positive_int
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


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
        labels, scores, weights = as_flat(y_true, y_pred, sample_weight)
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
