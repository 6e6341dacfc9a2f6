"""The network as a server runs it: from pixels to scores and to features, in inference alone."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_tdn.export.dtypes import FLOAT32
from keras_tdn.export.inference_graph import InferenceGraph
from keras_tdn.export.layer_weights import check_not_quantized, classifier_weights
from keras_tdn.models import TDNResNet


class ServedNetwork:
    """Scores and features of clips as TensorFlow functions, on the TensorFlow backend.

    The weights are constants of one function that all signatures call, so that they are stored
    once.

    Args:
        model: A `TDNResNet` with its classifier; later changes of its weights are not seen.
        dtype: Precision of the network, one of `DTYPES`. Differences of frames, pooled features and
            scores are float32 in any case.
        portable: Whether it is for runtimes that do not keep channels last.

    Raises:
        ValueError: if the model has been quantized.
    """

    def __init__(self, model: TDNResNet, dtype: str = FLOAT32, portable: bool = False) -> None:
        check_not_quantized(model)
        graph = InferenceGraph(model, dtype, portable)
        spec = model.clip_spec
        clips = tf.TensorSpec((None, spec.num_frames, spec.height, spec.width, 3), tf.uint8)
        self._pooled = tf.function(graph, input_signature=[clips], autograph=False)
        self._num_segments, self._portable = model.num_segments, portable
        self._kernel, self._bias = classifier_weights(model)
        activation = keras.activations.get(model.classifier_activation)
        are_logits = activation is keras.activations.linear
        self._activation = tf.nn.softmax if are_logits else activation

    def scores(self, clips: tf.Tensor) -> tf.Tensor:
        """One row of float32 scores for each uint8 clip; probabilities where training's are."""
        # The mean over segments before the classifier instead of behind it, which is the same.
        return self._activation(tf.matmul(self.features(clips), self._kernel) + self._bias)

    def features(self, clips: tf.Tensor) -> tf.Tensor:
        """One float32 vector for each clip: the mean over positions and segments."""
        pooled = self._pooled(clips if self._portable else _at_least_one(clips))
        pooled = tf.reshape(pooled, (-1, self._num_segments, self._kernel.shape[0]))
        features = tf.reduce_mean(pooled, axis=1)
        return features if self._portable else features[: tf.shape(clips)[0]]


def _at_least_one(clips: tf.Tensor) -> tf.Tensor:
    """The clips, or one black clip if there are none.

    TensorFlow's fused convolutions fail on a batch of none. Padding by nothing, as for all other
    batches, takes no copy; the runtimes of other formats would copy, and lose the batch size.
    """
    missing = tf.maximum(1 - tf.shape(clips)[0], 0)
    padded = tf.pad(clips, [[0, missing], *[[0, 0]] * 4])
    return tf.ensure_shape(padded, (None, *clips.shape[1:]))
