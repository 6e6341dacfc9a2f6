"""The scores of windows, whose segments go through their part of the network once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_tdn.models import TDNResNet, predicting
from keras_tdn.models.network_structure import NetworkStructure
from keras_tdn.scoring.scorer import softmax


class NetworkPart(keras.Model):
    """A part of a network, as a model to be compiled. Layers are shared and not copied."""

    def __init__(self, structure: NetworkStructure, run: Callable[..., Any], name: str) -> None:
        super().__init__(name=name)
        # Keras finds a model's variables in its attributes.
        self.network_layers = list(structure.layers())
        self._run = run

    def call(self, inputs: Any) -> Any:
        return self._run(inputs)


def network_parts(model: TDNResNet) -> tuple[NetworkPart, NetworkPart]:
    """Returns the two parts of a model with its classifier; later changes of its weights are seen.

    The first computes of each segment what depends on no other: clips of any number of segments to
    two maps `(batch * num_segments, height, width, channels)`. The second takes the maps of all
    segments of a window to its scores. `second(first(clip))` is `model(clip)` in inference.
    """
    if not isinstance(model, TDNResNet):
        raise ValueError(
            "Watching reuses what a TDN model computes for each segment, so it takes a TDNResNet, "
            f"such as keras_tdn.TDNResNet50. Received: {type(model).__name__}"
        )
    predicting.check_gives_scores(model)
    # They hold the model's layers and not the model, which would keep itself alive.
    structure, name = model.structure, model.name

    def after(maps: Any) -> Any:
        return structure.after_segments_meet(*maps)

    def parts() -> tuple[NetworkPart, NetworkPart]:
        first = NetworkPart(structure, structure.before_segments_meet, f"{name}_segments")
        return first, NetworkPart(structure, after, f"{name}_shared")

    return predicting.derived(model, "parts", parts)


class WindowScorer:
    """Scores windows. Each is a batch of its own, so that its scores depend on nothing else."""

    def __init__(self, model: TDNResNet) -> None:
        self._segments, self._shared = network_parts(model)
        self._model = model
        predicting.check_takes_clips(model, model.clip_spec, "Set a `model.clip_spec` that fits.")
        activation = keras.activations.get(model.classifier_activation)
        self._gives_logits = activation is keras.activations.linear

    def compile(self) -> None:
        """Compiles the network, which the first window would wait for otherwise."""
        spec = self._model.clip_spec
        clip = np.zeros((spec.frames_per_segment, spec.height, spec.width, 3), np.uint8)
        self.score([self.maps_of(clip)] * spec.num_segments)

    def maps_of(self, clip: np.ndarray) -> list[np.ndarray]:
        """Returns the maps of a segment, uint8 frames of shape `(frames, height, width, 3)`."""
        inputs = predicting.model_inputs(self._model, clip[np.newaxis], self._model.clip_spec)
        return predicting.predict_batch(self._segments, inputs)

    def score(self, maps: Iterable[list[np.ndarray]]) -> np.ndarray:
        """Returns the scores of a window, by the maps of all its segments; logits get a softmax."""
        stacked = [np.concatenate(kind) for kind in zip(*maps, strict=True)]
        scores = np.asarray(predicting.predict_batch(self._shared, stacked)[0], np.float32)
        if not np.isfinite(scores).all():
            name = self._model.name
            raise ValueError(
                f"The model {name!r} gives scores that are not finite. Check its weights."
            )
        return softmax(scores).astype(np.float32) if self._gives_logits else scores
