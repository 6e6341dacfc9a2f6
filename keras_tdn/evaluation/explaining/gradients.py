"""The gradient of one score, on whatever backend runs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def score_gradient(
    head: keras.Model, features: np.ndarray, index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of features, and how one score changes with them.

    Args:
        head: A model from features to scores `(batch, classes)`.
        features: Its input.
        index: The class whose score it is. `None` takes the highest of the first sample.

    Returns:
        Scores, and the gradient of the sum over the batch of that class' scores, of the shape of
        the features; both float32.
    """
    compute = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    inputs = keras.ops.convert_to_tensor(features, "float32")
    if index is None:
        first = keras.ops.convert_to_numpy(head(inputs, training=False))
        index = int(np.asarray(first, np.float32)[0].argmax())
    scores, gradient = compute[keras.backend.backend()](head, inputs, index)
    return (
        np.asarray(keras.ops.convert_to_numpy(scores), np.float32),
        np.asarray(keras.ops.convert_to_numpy(gradient), np.float32),
    )


def _on_tensorflow(head: keras.Model, inputs: Any, index: int) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        scores = head(inputs, training=False)
        chosen = tf.reduce_sum(scores[:, index])
    return scores, tape.gradient(chosen, inputs)


def _on_jax(head: keras.Model, inputs: Any, index: int) -> tuple[Any, Any]:
    import jax

    def chosen(features: Any) -> tuple[Any, Any]:
        scores = head(features, training=False)
        return scores[:, index].sum(), scores

    gradient, scores = jax.grad(chosen, has_aux=True)(inputs)
    return scores, gradient


def _on_torch(head: keras.Model, inputs: Any, index: int) -> tuple[Any, Any]:
    import torch

    inputs = inputs.detach().requires_grad_(True)
    with torch.enable_grad():
        scores = head(inputs, training=False)
        (gradient,) = torch.autograd.grad(scores[:, index].sum(), inputs)
    return scores.detach(), gradient
