"""Mean of the classes' accuracies."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.evaluation.metrics.labels import as_flat
from keras_tdn.layers.layer_helpers import check_positive_int
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


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
        labels, scores, weights = as_flat(y_true, y_pred, sample_weight)
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
