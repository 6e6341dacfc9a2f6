"""The operations of the folded graph, written so that TensorFlow's optimiser can merge them.

Weights are constants: oneDNN keeps a constant in the order that its kernels want, where it would
reorder a variable at every call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.inference.folding import FoldedConv


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
    """Resizes by nearest neighbour with source index `floor(i * in / out)`.

    Args:
        x: Maps.
        height: Of the result.
        width: Of the result.
        portable: Whether it is for other formats. ONNX has a factor where TensorFlow has a size, as
            float32, and 3 times that of 3 to 7 is 6.9999998: such a model does not load.
    """
    if x.shape[1:3] == (height, width):
        return x
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
