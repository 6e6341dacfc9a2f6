"""The network as a server runs it: from pixels to scores and to features, in inference alone."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_tdn.models import TDNResNet
from keras_tdn.specs import Normalization


class ServedNetwork:
    """Scores and features of clips as TensorFlow functions, on the TensorFlow backend.

    Args:
        model: A `TDNResNet` with its classifier.
    """

    def __init__(self, model: TDNResNet) -> None:
        self._scores = model
        # Behind the last stage: one vector for each segment.
        self._pooled = keras.Model(model.input, model.get_layer("pool").output)
        self._num_segments = model.num_segments
        activation = keras.activations.get(model.classifier_activation)
        self._are_logits = activation is keras.activations.linear
        self._normalization = None if model.include_preprocessing else model.clip_spec.normalization

    @property
    def variables(self) -> list[tf.Variable]:
        """What must be saved along."""
        return [weight.value for weight in self._scores.weights]

    def scores(self, clips: tf.Tensor) -> tf.Tensor:
        """One row of float32 scores for each uint8 clip; probabilities where training's are."""
        scores = tf.cast(self._scores(self._input(clips), training=False), tf.float32)
        return tf.nn.softmax(scores) if self._are_logits else scores

    def features(self, clips: tf.Tensor) -> tf.Tensor:
        """One float32 vector for each clip: the mean over positions and segments."""
        pooled = tf.cast(self._pooled(self._input(clips), training=False), tf.float32)
        size = pooled.shape[-1]
        return tf.reduce_mean(tf.reshape(pooled, (-1, self._num_segments, size)), axis=1)

    def _input(self, clips: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(clips, tf.float32)
        return pixels if self._normalization is None else _normalize(pixels, self._normalization)


def _normalize(pixels: tf.Tensor, normalization: Normalization) -> tf.Tensor:
    return (pixels / 255.0 - tf.constant(normalization.mean)) / tf.constant(normalization.std)
