"""A model cut in two at one of its layers."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterable
from typing import Any

import keras

from keras_tdn.layers import LongTermTDM
from keras_tdn.scoring.scorer import ScoreKind, with_logits

# Errors name so many layers at most: the last ones, whose maps mean most.
MAX_NAMED = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """Two models that share the layers and weights of one.

    Args:
        layer: Name of the layer whose output is the end of the first and the input of the second.
        kind: Whether scores are logits.
        tapped: From clips to the layer's maps and the inputs of the long-term TDMs.
        modules: These long-term TDMs.
        head: From the layer's maps to scores.
    """

    layer: str
    kind: ScoreKind
    tapped: keras.Model
    modules: tuple[LongTermTDM, ...]
    head: keras.Model


# By model and layer, because each is traced when it is first used, and because Keras notes in the
# layers every model that is made of them. Weights are shared, so that new ones are seen.
_CUTS: weakref.WeakKeyDictionary[keras.Model, dict[str, Cut]] = weakref.WeakKeyDictionary()


def cut_at(model: keras.Model, name: str | None) -> Cut:
    """The parts of a model before and behind a layer; made once.

    Args:
        model: A functional model.
        name: The layer's name; `None` takes the last that has maps.

    Raises:
        ValueError: if there is no such layer, or scores follow from other layers too.
    """
    layer = _map_layer(model, name)
    cuts = _CUTS.setdefault(model, {})
    if layer.name not in cuts:
        cuts[layer.name] = _cut(model, layer)
    return cuts[layer.name]


def _cut(model: keras.Model, layer: keras.layers.Layer) -> Cut:
    kind, scoring = with_logits(model, None)
    if not _is_passed_by_all(model, layer, scoring.output):
        raise ValueError(
            f"The scores do not follow from the layer {layer.name!r} alone: other layers lead past "
            f"it, as those of a residual branch do. {_names(model, scoring.output)}"
        )
    modules = tuple(part for part in model.layers if isinstance(part, LongTermTDM))
    return Cut(
        layer=layer.name,
        kind=kind,
        tapped=keras.Model(model.input, [layer.output, *(part.input for part in modules)]),
        modules=modules,
        head=keras.Model(layer.output, scoring.output),
    )


def _map_layer(model: keras.Model, name: str | None) -> keras.layers.Layer:
    if name is not None:
        layer = next((part for part in model.layers if part.name == name), None)
        if layer is None or not _has_maps(layer):
            raise ValueError(
                f"The model has no layer {name!r} with maps of shape (segments, height, width, "
                f"channels). {_names(model, with_logits(model, None)[1].output)}"
            )
        return layer
    for layer in reversed(model.layers):
        if _has_maps(layer):
            return layer
    raise ValueError(
        "The model has no layer with maps of shape (segments, height, width, channels), which "
        "Grad-CAM weighs."
    )


def _has_maps(layer: keras.layers.Layer) -> bool:
    return len(getattr(getattr(layer, "output", None), "shape", ())) == 4


def _names(model: keras.Model, scores: Any) -> str:
    """Which layers would do, in words."""
    names = [
        layer.name
        for layer in model.layers
        if _has_maps(layer) and _is_passed_by_all(model, layer, scores)
    ]
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
    seen = {id(layer.output)}
    waiting = _unseen(scores, seen)
    if not waiting:
        return False
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in sources or id(tensor) not in made_from:
            return False
        waiting += _unseen(made_from[id(tensor)], seen)
    return True


def _unseen(tensors: Any, seen: set[int]) -> list[Any]:
    """The tensors that were not met before, which they now are."""
    new: Iterable[Any] = keras.tree.flatten(tensors)
    new = [tensor for tensor in new if id(tensor) not in seen]
    seen.update(id(tensor) for tensor in new)
    return new
