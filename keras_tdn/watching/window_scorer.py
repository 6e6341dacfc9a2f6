"""The scores of windows, whose segments go through their part of the network once."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from keras_tdn.models import TDNResNet
from keras_tdn.models.predicting import check_takes_clips, model_inputs, predict_batch
from keras_tdn.scoring.scorer import softmax
from keras_tdn.watching.network_parts import network_parts


class WindowScorer:
    """Scores windows, each segment of which goes through its part of the network once.

    Segments and windows are batches of their own, so that each has the same bits whatever comes
    before and behind it.

    Raises:
        ValueError: if the model is no `TDNResNet` with its classifier, or takes no clips of its
            `clip_spec`.
    """

    def __init__(self, model: TDNResNet) -> None:
        self._segments, self._shared = network_parts(model)
        self._model = model
        check_takes_clips(model, model.clip_spec, "Set a `model.clip_spec` that fits.")
        activation = keras.activations.get(model.classifier_activation)
        self._gives_logits = activation is keras.activations.linear

    def compile(self) -> None:
        """Compiles the network, which otherwise the first window would wait for."""
        spec = self._model.clip_spec
        clip = np.zeros((spec.frames_per_segment, spec.height, spec.width, 3), np.uint8)
        self.score([self.maps_of(clip)] * spec.num_segments)

    def maps_of(self, clip: np.ndarray) -> list[np.ndarray]:
        """Returns the maps of a segment, uint8 frames of shape `(frames, height, width, 3)`."""
        inputs = model_inputs(self._model, clip[np.newaxis], self._model.clip_spec)
        return predict_batch(self._segments, inputs)

    def score(self, maps: Iterable[list[np.ndarray]]) -> np.ndarray:
        """Returns the scores of a window; probabilities where the model gives those or logits.

        Args:
            maps: Those of all its segments, in order.

        Raises:
            ValueError: if a score is not finite.
        """
        stacked = [np.concatenate(kind) for kind in zip(*maps, strict=True)]
        scores = np.asarray(predict_batch(self._shared, stacked)[0], np.float32)
        if not np.isfinite(scores).all():
            raise ValueError(
                f"The model {self._model.name!r} gives scores that are not finite. Check its "
                "weights."
            )
        return softmax(scores).astype(np.float32) if self._gives_logits else scores
