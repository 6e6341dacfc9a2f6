"""What the layers of a model hold while it looks at one clip."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import keras
import numpy as np

from keras_tdn.evaluation.explaining.cuts import cut_at
from keras_tdn.layers import LongTermTDM, ShortTermTDM
from keras_tdn.models.clips import model_inputs
from keras_tdn.models.predicting import predict_batch
from keras_tdn.scoring.scorer import ScoreKind
from keras_tdn.specs import ClipSpec

STAGE = re.compile(r"stage(\d+)_")


@dataclasses.dataclass(frozen=True, eq=False)
class GateMaps:
    """The gates of one long-term TDM, as means over its channels.

    Args:
        layer: Name of the layer.
        stage: Number of its stage; 0 where the name does not say.
        forward: From the next segment, in (-0.5, 0.5), of shape `(segments, height, width)`.
        backward: From the previous segment.
        strength: Root mean square, over channels, of the mean of both directions.
    """

    layer: str
    stage: int
    forward: np.ndarray
    backward: np.ndarray
    strength: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """`(forward + backward) / 2`, by which features are raised (positive) or lowered."""
        return (self.forward + self.backward) / 2


@dataclasses.dataclass(frozen=True, eq=False)
class Taps:
    """What was found.

    Args:
        scores: Of all classes, float32.
        kind: Whether they are logits.
        target: The class explained.
        differences: See `Explanation`.
        gates: See `Explanation`.
        contributions: What each position of the last map adds to the target's score, to first
            order, of shape `(segments, height, width)`.
        cam: Grad-CAM before upsampling: the same with gradients averaged over positions, and
            nothing below zero.
        layer: Name of the layer whose maps they are.
    """

    scores: np.ndarray
    kind: ScoreKind
    target: int
    differences: np.ndarray | None
    gates: tuple[GateMaps, ...]
    contributions: np.ndarray
    cam: np.ndarray
    layer: str


def tap(
    model: keras.Model, clip: np.ndarray, spec: ClipSpec, target: int | None, layer: str | None
) -> Taps:
    """Runs the model on one clip and keeps what is of interest.

    Args:
        model: A functional model.
        clip: uint8 of shape `(frames, height, width, 3)`.
        spec: The clip that it is.
        target: The class to explain; `None` takes the one with the highest score.
        layer: The layer whose maps are weighed; `None` takes the last that has maps.

    Raises:
        ValueError: if there is no such layer, its maps are not those of segments, or scores follow
            from other layers too.
    """
    cut = cut_at(model, layer)
    values = predict_batch(cut.tapped, model_inputs(model, clip[np.newaxis], spec))
    # Of a single output Keras makes no list.
    values = values if isinstance(values, list | tuple) else [values]
    features, *inputs = [np.asarray(value, np.float32) for value in values]
    if len(features) != spec.num_segments:
        raise ValueError(
            f"The layer {cut.layer!r} has {len(features)} maps for a clip of {spec.num_segments} "
            "segments. Name a layer whose batch axis holds the segments."
        )
    scores, gradient = score_gradient(cut.head, features, target)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return Taps(
        scores=scores[0],
        kind=cut.kind,
        target=int(scores[0].argmax()) if target is None else target,
        differences=_differences(model, clip, spec),
        gates=tuple(_gates(part, x) for part, x in zip(cut.modules, inputs, strict=True)),
        contributions=(gradient * features).sum(axis=-1),
        cam=np.maximum((weights * features).sum(axis=-1), 0.0),
        layer=cut.layer,
    )


def _differences(model: keras.Model, clip: np.ndarray, spec: ClipSpec) -> np.ndarray | None:
    module = next((part for part in model.layers if isinstance(part, ShortTermTDM)), None)
    if module is None:
        return None
    stacked = np.asarray(keras.ops.convert_to_numpy(module.differences(clip[np.newaxis])))
    segments, height, width, _ = stacked.shape
    shape = (segments, height, width, spec.frames_per_segment - 1, clip.shape[-1])
    return stacked.reshape(shape).transpose(0, 3, 1, 2, 4).astype(np.float32)


def _gates(module: LongTermTDM, x: np.ndarray) -> GateMaps:
    forward, backward = (
        np.asarray(keras.ops.convert_to_numpy(gate), np.float32)
        for gate in module.gates(keras.ops.convert_to_tensor(x))
    )
    stage = STAGE.match(module.name)
    return GateMaps(
        layer=module.name,
        stage=int(stage[1]) if stage else 0,
        forward=forward.mean(axis=-1),
        backward=backward.mean(axis=-1),
        strength=np.sqrt((((forward + backward) / 2) ** 2).mean(axis=-1)),
    )


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
