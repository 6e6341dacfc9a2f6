"""A model folded for inference: from pixels to scores and features."""

from __future__ import annotations

import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_tdn.choices import FOLDED_DTYPES
from keras_tdn.inference.folded_graph import FoldedGraph
from keras_tdn.inference.folding import (
    check_not_quantized,
    classifier_weights,
    reason_not_to_fold,
)
from keras_tdn.models import TDNResNet

FLOAT32 = "float32"


def folded_network(model: TDNResNet, dtype: str = FLOAT32) -> FoldedNetwork:
    """Folds a model for inference on the TensorFlow backend.

    Use it to score many clips on a CPU, where it takes about three quarters of the time of the
    Keras model; making it takes some seconds. In float32 it gives the model's scores to 1e-5;
    `can_fold` says for which models.

    Args:
        model: A `TDNResNet` with its classifier. Later changes of its weights are not seen.
        dtype: `"float32"`, or `"bfloat16"`, which takes about half of the time on processors that
            have instructions for it. Scores are float32 in any case.

    Returns:
        A function from a batch of clips to the model's scores. Clips are pixels in [0, 255], uint8
        or float32, of shape `(batch, num_frames, height, width, 3)`, also for a model that takes
        normalised pixels.

    Raises:
        ValueError: if the model cannot be folded or `dtype` is another.

    Example:

    >>> network = keras_tdn.inference.folded_network(model)
    >>> scores = network(clips)
    """
    if reason := reason_not_to_fold(model):
        raise ValueError(reason)
    return FoldedNetwork(model, dtype)


class FoldedNetwork:
    """Scores and features of clips as TensorFlow functions, on the TensorFlow backend.

    The weights are constants, read when the network is made. All calls with clips of one size and
    type share one function, so that an export stores them once. Any number of threads may call it.

    Args:
        model: A `TDNResNet` with its classifier.
        dtype: Precision of the network, `"float32"` or `"bfloat16"`. Differences of frames, pooled
            features and scores are float32 in any case.
        portable: Whether it is for runtimes that do not keep channels last.

    Raises:
        ValueError: if the model has been quantized or `dtype` is another.
    """

    def __init__(self, model: TDNResNet, dtype: str = FLOAT32, portable: bool = False) -> None:
        check_not_quantized(model)
        if dtype not in FOLDED_DTYPES:
            raise ValueError(
                f"A folded network computes in one of {list(FOLDED_DTYPES)}. "
                f"Received: dtype={dtype!r}"
            )
        self._graph = FoldedGraph(model, dtype, portable)
        self._functions: dict[tf.TensorSpec, Callable[[tf.Tensor], tf.Tensor]] = {}
        self._lock = threading.Lock()
        self._num_segments, self._portable = model.num_segments, portable
        self._kernel, self._bias = classifier_weights(model)
        self._activation = keras.activations.get(model.classifier_activation)

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Returns the model's scores of a batch of clips.

        Args:
            clips: Pixels in [0, 255], uint8 or float32.

        Returns:
            float32 of shape `(batch, classes)`.
        """
        return self.scores_of(self.features(tf.convert_to_tensor(clips))).numpy()

    def features(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one float32 vector for each clip: the mean over positions and segments."""
        pooled = self.pooled(clips if self._portable else _at_least_one(clips))
        pooled = tf.reshape(pooled, (-1, self._num_segments, self._kernel.shape[0]))
        features = tf.reduce_mean(pooled, axis=1)
        return features if self._portable else features[: tf.shape(clips)[0]]

    def scores_of(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the model's scores of clips with such features."""
        return self._activation(self._logits(features))

    def probabilities(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one row of probabilities for each clip, also of a model that gives logits."""
        logits = self._logits(self.features(clips))
        are_logits = self._activation is keras.activations.linear
        return tf.nn.softmax(logits) if are_logits else self._activation(logits)

    def pooled(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one float32 vector for each segment: the mean over positions."""
        spec = tf.TensorSpec((None, *clips.shape[1:]), clips.dtype)
        with self._lock:
            if spec not in self._functions:
                self._functions[spec] = tf.function(
                    self._graph, input_signature=[spec], autograph=False
                )
        return self._functions[spec](clips)

    def _logits(self, features: tf.Tensor) -> tf.Tensor:
        # The mean over segments before the classifier instead of behind it, which is the same.
        return tf.matmul(features, self._kernel) + self._bias


def _at_least_one(clips: tf.Tensor) -> tf.Tensor:
    """Returns the clips, or one black clip if there are none.

    TensorFlow's fused convolutions fail on a batch of none. Padding by nothing, as for all other
    batches, takes no copy; the runtimes of other formats would copy, and lose the batch size.
    """
    missing = tf.maximum(1 - tf.shape(clips)[0], 0)
    padded = tf.pad(clips, [[0, missing], *[[0, 0]] * 4])
    return tf.ensure_shape(padded, (None, *clips.shape[1:]))
