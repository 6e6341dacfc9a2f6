"""The inference graph as a Keras model, which Keras' own exporters take."""

from __future__ import annotations

from typing import Any

import keras

from keras_tdn.export.network import ServedNetwork
from keras_tdn.models import TDNResNet


class _Scores(keras.layers.Layer):
    def __init__(self, network: ServedNetwork, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._network, self._classes = network, classes

    def call(self, clips: Any) -> Any:
        return self._network.scores(clips)

    def compute_output_spec(self, clips: Any) -> keras.KerasTensor:
        return keras.KerasTensor((clips.shape[0], self._classes), dtype="float32")


def as_keras_model(model: TDNResNet) -> keras.Model:
    """From uint8 `clips` to float32 `scores`, weights as constants.

    Args:
        model: A `TDNResNet` with its classifier, on the TensorFlow backend.
    """
    spec = model.clip_spec
    shape = (spec.num_frames, spec.height, spec.width, 3)
    clips = keras.Input(shape, dtype="uint8", name="clips")
    scores = _Scores(ServedNetwork(model, portable=True), model.classes, name="scores")(clips)
    network = keras.Model(clips, scores, name=model.name)
    # Keras exports to ONNX what has been called.
    network(clips)
    return network
