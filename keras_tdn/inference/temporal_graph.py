"""The operations and temporal modules of the folded graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.inference.folding import FoldedConv, as_float64, fold


def constant(values: Any, like: tf.Tensor) -> tf.Tensor:
    """Returns weights as a constant of the dtype of `like`."""
    return tf.constant(np.asarray(values, like.dtype.as_numpy_dtype))


def convolve(x: tf.Tensor, conv: FoldedConv, stride: int = 1) -> tf.Tensor:
    """Convolves with bias, padded alike on both sides."""
    pad = conv.size // 2
    # "SAME" pads the far side more where the stride is 2.
    padding = "SAME" if stride == 1 else [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    if pad == 0:
        padding = "VALID"
    y = tf.nn.conv2d(x, constant(conv.kernel, x), stride, padding)
    return tf.nn.bias_add(y, constant(conv.bias, x))


def add(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Adds tensors of equal shapes. `+` might broadcast, so the optimiser would not merge it."""
    return tf.add_n([x, y])


def max_pool(x: tf.Tensor) -> tf.Tensor:
    """Pools 3x3 with stride 2, padded by 1. It follows a ReLU, so padding with zeros is neutral."""
    # Not as padding of the pooling itself, for which oneDNN has no kernel. The far side of an even
    # size is never read.
    pads = [[1, size % 2] for size in x.shape[1:3]]
    return tf.nn.max_pool2d(tf.pad(x, [[0, 0], *pads, [0, 0]]), 3, 2, "VALID")


def halve(x: tf.Tensor) -> tf.Tensor:
    """Pools 2x2 by average; drops an odd last row or column, and keeps an axis of size 1."""
    window = [min(2, x.shape[1]), min(2, x.shape[2])]
    return tf.nn.avg_pool2d(x, window, window, "VALID")


def resize_nearest(x: tf.Tensor, height: int, width: int, portable: bool = False) -> tf.Tensor:
    """Resizes by nearest neighbour with source index `floor(i * in / out)`."""
    if x.shape[1:3] == (height, width):
        return x
    # ONNX has a float32 factor, by which 3 to 7 would become 6.9999998.
    if portable and (height % x.shape[1] or width % x.shape[2]):
        for axis, size in ((1, height), (2, width)):
            x = tf.gather(x, np.arange(size) * x.shape[axis] // size, axis=axis)
        return x
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=(height, width))


def add_upsampled(x: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
    """Adds a smaller map to `x`, brought to its size by `resize_nearest`."""
    _, height, width, channels = x.shape
    if (height, width) != (2 * small.shape[1], 2 * small.shape[2]):
        return add(x, resize_nearest(small, height, width))
    # Rows are repeated by a broadcast, which spares writing the large map.
    rows = tf.reshape(tf.concat([small, small], axis=-1), (-1, 1, width * channels))
    pairs = tf.reshape(x, (-1, 2, width * channels))
    return tf.reshape(pairs + rows, (-1, height, width, channels))


class LongTermGraph:
    """`LongTermTDM` with both directions in one batch and its sums inside its convolutions.

    With `sigmoid(s) = (1 + tanh(s / 2)) / 2` the layer's `x + x * mean(sigmoid(s) - 1 / 2)` is
    `x * (4 + tanh(s_forward / 2) + tanh(s_backward / 2)) / 4`, and what is linear, the thirds of
    the pyramid and the halves, goes into the kernels.
    """

    # The graph returns so many times what the layer does; what follows undoes it.
    GAIN = 4.0

    def __init__(self, layer: Any, portable: bool = False) -> None:
        self._num_segments, self._portable = layer.num_segments, portable
        self._squeeze = fold(layer.squeeze_conv, layer.squeeze_norm)
        self._smooth = as_float64(layer.smooth_conv.kernel)
        self._half = fold(layer.half_scale_conv, layer.half_scale_norm)
        self._full = fold(layer.full_scale_conv, layer.full_scale_norm).plus_identity()
        self._expand = fold(layer.expand_conv, layer.expand_norm).scaled(1 / 6, 1 / 2)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        squeezed = convolve(x, self._squeeze)
        smoothed = tf.nn.depthwise_conv2d(squeezed, constant(self._smooth, x), (1, 1, 1, 1), "SAME")
        if self._portable:
            # One by one: such runtimes merge the sums into the convolutions, and copy to split.
            edges = _edges(self._num_segments)
            forward, backward = (
                self._gates((_rotate(smoothed, step) - squeezed) * _tiled(edges[step], squeezed))
                for step in (1, -1)
            )
        else:
            gates = self._gates(self._differences(squeezed, smoothed))
            forward, backward = tf.split(gates, 2, axis=0)
        return x * (add(forward, backward) + constant(self.GAIN, x))

    def _gates(self, differences: tf.Tensor) -> tf.Tensor:
        height, width = differences.shape[1:3]
        half = convolve(halve(differences), self._half)
        half = resize_nearest(half, height, width, self._portable)
        pyramid = add(convolve(differences, self._full), half)
        return tf.tanh(convolve(pyramid, self._expand))

    def _differences(self, squeezed: tf.Tensor, smoothed: tf.Tensor) -> tf.Tensor:
        """Returns forward differences, then backward ones, on the batch axis; zeros at the ends."""
        shape = squeezed.shape[1:]
        segments = (-1, self._num_segments, shape.num_elements())
        f, g = tf.reshape(squeezed, segments), tf.reshape(smoothed, segments)
        forward = tf.pad(g[:, 1:] - f[:, :-1], [[0, 0], [0, 1], [0, 0]])
        backward = tf.pad(g[:, :-1] - f[:, 1:], [[0, 0], [1, 0], [0, 0]])
        return tf.reshape(tf.concat([forward, backward], axis=0), (-1, *shape))


class TemporalShiftGraph:
    """`TemporalShift` of an input `gain` times too large, as one depthwise convolution."""

    def __init__(self, layer: Any, gain: float = 1.0, portable: bool = False) -> None:
        self._num_segments, self._portable = layer.num_segments, portable
        self._kernel = as_float64(layer.kernel) / gain

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        if self._portable:
            past, present, future = self._kernel
            edges = _edges(self._num_segments)
            following = _rotate(x, 1) * _tiled(edges[1] * future, x)
            preceding = _rotate(x, -1) * _tiled(edges[-1] * past, x)
            return x * constant(present, x) + following + preceding
        _, height, width, channels = x.shape
        segments = tf.reshape(x, (-1, self._num_segments, height * width, channels))
        kernel = self._kernel[:, np.newaxis, :, np.newaxis]
        shifted = tf.nn.depthwise_conv2d(segments, constant(kernel, x), (1, 1, 1, 1), "SAME")
        return tf.reshape(shifted, (-1, height, width, channels))


def _edges(num_segments: int) -> dict[int, np.ndarray]:
    """Returns 0 for segments without a successor (1) or predecessor (-1), and 1 for others."""
    edges = {step: np.ones((num_segments, 1)) for step in (1, -1)}
    edges[1][-1], edges[-1][0] = 0, 0
    return edges


def _rotate(x: tf.Tensor, step: int) -> tf.Tensor:
    """Returns each map's successor (1) or predecessor (-1) on the batch axis, wrapping around."""
    count = tf.shape(x)[0]
    first = step if step > 0 else count + step
    # `tf.slice`, not `x[...]`, around which OpenVINO turns every map over and back.
    rest = x.shape[1:]
    later = tf.slice(x, (first, 0, 0, 0), (count - first, *rest))
    return tf.concat([later, tf.slice(x, (0, 0, 0, 0), (first, *rest))], axis=0)


def _tiled(values: np.ndarray, like: tf.Tensor) -> tf.Tensor:
    """Repeats values `(num_segments, channels)` for each map of a folded batch."""
    segments = constant(values[:, np.newaxis, np.newaxis], like)
    return tf.tile(segments, (tf.shape(like)[0] // len(values), 1, 1, 1))
