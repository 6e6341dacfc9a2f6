"""What metrics are given, as class indices, scores and weights."""

from __future__ import annotations

from typing import Any

from keras import ops


def as_flat(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Class indices, scores and weights, one row for each sample.

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
