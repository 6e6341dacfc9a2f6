"""What the layers of a model hold while it looks at one clip."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_tdn.layers import LongTermTDM, ShortTermTDM
from keras_tdn.models.predicting import derived, model_inputs, predict_batch
from keras_tdn.scoring.scorer import ScoreKind, with_logits
from keras_tdn.specs import ClipSpec

# Errors name so many layers at most: the last ones, whose maps mean most.
MAX_NAMED = 8


@dataclasses.dataclass(frozen=True, eq=False)
class GateMaps:
    """The gates of one long-term TDM, as means over its channels.

    Args:
        layer: Name of the layer.
        stage: Number of its stage; 0 of a model that is no `TDNResNet`.
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


def tap(
    model: keras.Model, cut: Cut, clip: np.ndarray, spec: ClipSpec
) -> tuple[np.ndarray, tuple[GateMaps, ...]]:
    """Runs a model on one clip; returns the maps of the layer that it is cut at, and all gates."""
    values = predict_batch(cut.tapped, model_inputs(model, clip[np.newaxis], spec))
    # Of a single output Keras makes no list.
    values = values if isinstance(values, list | tuple) else [values]
    features, *inputs = [np.asarray(value, np.float32) for value in values]
    if len(features) != spec.num_segments:
        raise ValueError(
            f"The layer {cut.layer!r} has {len(features)} maps for a clip of {spec.num_segments} "
            "segments. Name a layer whose batch axis holds the segments."
        )
    network = getattr(model, "structure", None)
    blocks = [] if network is None else network.blocks()
    stages = {id(block.long_term_tdm): block.stage for block in blocks}
    seen = zip(cut.modules, inputs, strict=True)
    return features, tuple(_gates(part, x, stages.get(id(part), 0)) for part, x in seen)


def differences_of(model: keras.Model, clip: np.ndarray, spec: ClipSpec) -> np.ndarray | None:
    """What the short-term TDM sees; see `Explanation`."""
    module = next((part for part in model.layers if isinstance(part, ShortTermTDM)), None)
    if module is None:
        return None
    stacked = _array(module.differences(clip[np.newaxis]))
    shape = (*stacked.shape[:3], spec.frames_per_segment - 1, clip.shape[-1])
    return stacked.reshape(shape).transpose(0, 3, 1, 2, 4)


def _gates(module: LongTermTDM, x: np.ndarray, stage: int) -> GateMaps:
    forward, backward = map(_array, module.gates(keras.ops.convert_to_tensor(x)))
    strength = np.sqrt((((forward + backward) / 2) ** 2).mean(axis=-1))
    return GateMaps(module.name, stage, forward.mean(axis=-1), backward.mean(axis=-1), strength)


def score_gradient(
    head: keras.Model, features: np.ndarray, index: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of features, and the gradient of one class' scores, by default the predicted one."""
    compute = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    inputs = keras.ops.convert_to_tensor(features, "float32")
    if index is None:
        index = int(_array(head(inputs, training=False))[0].argmax())
    scores, gradient = compute[keras.backend.backend()](head, inputs, index)
    return _array(scores), _array(gradient)


def _array(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(values), np.float32)


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


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """Two models that share the layers and weights of one."""

    layer: str
    kind: ScoreKind
    # From clips to the maps of the layer, and the inputs of the long-term TDMs.
    tapped: keras.Model
    modules: tuple[LongTermTDM, ...]
    # From the layer's maps to scores.
    head: keras.Model


def cut_at(model: keras.Model, name: str | None) -> Cut:
    """The parts of a model before and behind a layer, by default the last with maps; made once."""
    layer = _map_layer(model, name)
    # Keras notes in the layers every model that is made of them.
    return derived(model, f"cut at {layer.name}", lambda: _cut(model, layer))


def _cut(model: keras.Model, layer: keras.layers.Layer) -> Cut:
    kind, scoring = with_logits(model, None)
    if not _is_passed_by_all(model, layer, scoring.output):
        raise ValueError(
            f"The scores do not follow from the layer {layer.name!r} alone: other layers lead past "
            f"it, as those of a residual branch do. {_names(model, scoring.output)}"
        )
    modules = tuple(part for part in model.layers if isinstance(part, LongTermTDM))
    tapped = keras.Model(model.input, [layer.output, *(part.input for part in modules)])
    return Cut(layer.name, kind, tapped, modules, keras.Model(layer.output, scoring.output))


def _map_layer(model: keras.Model, name: str | None) -> keras.layers.Layer:
    layers = [layer for layer in model.layers if _has_maps(layer)]
    if name is None and not layers:
        raise ValueError(
            "The model has no layer with maps of shape (segments, height, width, channels), which "
            "Grad-CAM weighs."
        )
    layer = layers[-1] if name is None else next((x for x in layers if x.name == name), None)
    if layer is None:
        raise ValueError(
            f"The model has no layer {name!r} with maps of shape (segments, height, width, "
            f"channels). {_names(model, with_logits(model, None)[1].output)}"
        )
    return layer


def _has_maps(layer: keras.layers.Layer) -> bool:
    return len(getattr(getattr(layer, "output", None), "shape", ())) == 4


def _names(model: keras.Model, scores: Any) -> str:
    layers = [layer for layer in model.layers if _has_maps(layer)]
    names = [layer.name for layer in layers if _is_passed_by_all(model, layer, scores)]
    if not names:
        return "No layer with maps is one that all of the scores come through."
    earlier = " (earlier ones too)" if len(names) > MAX_NAMED else ""
    return f"Layers that can be named are {', '.join(map(repr, names[-MAX_NAMED:]))}{earlier}."


def _is_passed_by_all(model: keras.Model, layer: keras.layers.Layer, scores: Any) -> bool:
    """Whether each way from the model's input to the scores leads through the layer."""
    made_from = {
        id(tensor): operation.input
        for operation in model.operations
        for tensor in keras.tree.flatten(operation.output)
    }
    sources = {id(tensor) for tensor in keras.tree.flatten(model.input)}
    waiting, seen = keras.tree.flatten(scores), {id(layer.output)}
    if all(id(tensor) in seen for tensor in waiting):
        return False
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        if id(tensor) in sources or id(tensor) not in made_from:
            return False
        seen.add(id(tensor))
        waiting += keras.tree.flatten(made_from[id(tensor)])
    return True
