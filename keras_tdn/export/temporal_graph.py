"""Long-term TDM and temporal shift in inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.export.folding import FoldedConv, fold_norm
from keras_tdn.export.graph_ops import add, constant, convolve, halve, resize_nearest


class LongTermGraph:
    """`LongTermTDM` with both directions in one batch and its sums inside its convolutions.

    With `sigmoid(s) = (1 + tanh(s / 2)) / 2` the layer's `x + x * mean(sigmoid(s) - 1 / 2)` is
    `x * (4 + tanh(s_forward / 2) + tanh(s_backward / 2)) / 4`, and what is linear, the thirds of
    the pyramid and the halves, goes into the kernels.

    Args:
        layer: The Keras layer.
    """

    # The graph gives so many times what the layer gives; what follows takes it back.
    GAIN = 4.0

    def __init__(self, layer: Any) -> None:
        self._num_segments = layer.num_segments
        self._squeeze = fold_norm(layer.squeeze_conv, layer.squeeze_norm)
        self._smooth = np.asarray(layer.smooth_conv.kernel.value.numpy(), np.float64)
        self._half = fold_norm(layer.half_scale_conv, layer.half_scale_norm)
        self._full = fold_norm(layer.full_scale_conv, layer.full_scale_norm).plus_identity()
        expand = fold_norm(layer.expand_conv, layer.expand_norm)
        self._expand = expand.scaled_input(1 / 3).scaled_output(1 / 2)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        differences = self._differences(x)
        height, width = x.shape[1:3]
        half = resize_nearest(convolve(halve(differences), self._half), height, width)
        pyramid = add(convolve(differences, self._full), half)
        gates = tf.tanh(convolve(pyramid, self._expand))
        forward, backward = tf.split(gates, 2, axis=0)
        return x * (add(forward, backward) + constant(self.GAIN, x))

    def _differences(self, x: tf.Tensor) -> tf.Tensor:
        """Forward and backward, one behind the other on the batch axis; zeros at the ends."""
        squeezed = convolve(x, self._squeeze)
        smoothed = tf.nn.depthwise_conv2d(squeezed, constant(self._smooth, x), (1, 1, 1, 1), "SAME")
        shape = squeezed.shape[1:]
        segments = (-1, self._num_segments, shape.num_elements())
        f, g = tf.reshape(squeezed, segments), tf.reshape(smoothed, segments)
        forward = tf.pad(g[:, 1:] - f[:, :-1], [[0, 0], [0, 1], [0, 0]])
        backward = tf.pad(g[:, :-1] - f[:, 1:], [[0, 0], [1, 0], [0, 0]])
        return tf.reshape(tf.concat([forward, backward], axis=0), (-1, *shape))


class TemporalShiftGraph:
    """`TemporalShift` as one depthwise convolution over segments and positions.

    Args:
        layer: The Keras layer.
        gain: How many times too large its input is.
    """

    def __init__(self, layer: Any, gain: float = 1.0) -> None:
        self._num_segments = layer.num_segments
        kernel = np.asarray(layer.kernel.value.numpy(), np.float64)
        self._kernel = kernel[:, np.newaxis, :, np.newaxis] / gain

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = x.shape
        segments = tf.reshape(x, (-1, self._num_segments, height * width, channels))
        shifted = tf.nn.depthwise_conv2d(segments, constant(self._kernel, x), (1, 1, 1, 1), "SAME")
        return tf.reshape(shifted, (-1, height, width, channels))


def fold_gain(conv: FoldedConv, gain: float) -> FoldedConv:
    """A convolution of an input that is so many times too large."""
    return conv if gain == 1 else conv.scaled_input(1 / gain)
