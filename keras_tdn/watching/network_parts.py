"""A TDN model in two parts: what each segment has for itself, and what segments share."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.models.network_structure import NetworkStructure
from keras_tdn.models.predicting import check_gives_scores


class NetworkPart(keras.Model):
    """A part of a network, as a model to be compiled.

    Args:
        structure: The network's layers, which are shared and not copied.
        run: What the part computes.
        name: Name of the part.
    """

    def __init__(self, structure: NetworkStructure, run: Callable[..., Any], name: str) -> None:
        super().__init__(name=name)
        # Keras finds a model's variables in its attributes.
        self.network_layers = list(structure.layers())
        self._run = run

    def call(self, inputs: Any) -> Any:
        return self._run(inputs)


# Kept as long as the models themselves, because each part is compiled when it is first used. They
# hold a model's layers and not the model, which would keep itself alive.
_PARTS: weakref.WeakKeyDictionary[keras.Model, tuple[NetworkPart, NetworkPart]]
_PARTS = weakref.WeakKeyDictionary()


def network_parts(model: TDNResNet) -> tuple[NetworkPart, NetworkPart]:
    """Returns the two parts of a model; later changes of its weights are seen.

    The first computes of each segment what depends on no other, and may be run once for all windows
    that a segment is in: `(batch, frames, height, width, 3)`, any number of whole segments, to two
    maps `(batch * num_segments, height, width, channels)`. The second takes the maps of all
    segments of a window to its scores. `second(first(clip))` is `model(clip)` in inference.

    Args:
        model: A `TDNResNet` with its classifier.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(model, TDNResNet):
        raise ValueError(
            "Watching reuses what a TDN model computes for each segment, so it takes a TDNResNet, "
            f"such as keras_tdn.TDNResNet50. Received: {type(model).__name__}"
        )
    check_gives_scores(model)
    if model not in _PARTS:
        structure = model.structure
        _PARTS[model] = (
            NetworkPart(structure, structure.before_segments_meet, f"{model.name}_segments"),
            NetworkPart(
                structure, lambda maps: structure.after_segments_meet(*maps), f"{model.name}_shared"
            ),
        )
    return _PARTS[model]
