"""Halving and nearest-neighbour resizing of `(n, height, width, channels)` maps of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_tdn.layers.common import DATA_FORMAT


def halve(x: Any) -> Any:
    """2x2 average pooling that drops an odd last row or column, and keeps an axis of size 1.

    The reference fails on an axis of size 1; keeping it lets clips go down to 32 pixels, where
    the last stage sees a single position.
    """
    height, width = x.shape[1:3]
    if height is not None and width is not None:
        window = (min(2, height), min(2, width))
        return ops.average_pool(x, window, window, "valid", data_format=DATA_FORMAT)
    # "same" adds a partial last window to odd sizes, which the slice takes off again; for a size
    # of 1 the partial window is the one value there is.
    pooled = ops.average_pool(x, 2, 2, "same", data_format=DATA_FORMAT)
    _, height, width, _ = ops.shape(x)
    return pooled[:, : ops.maximum(height // 2, 1), : ops.maximum(width // 2, 1)]


def resize_nearest(x: Any, height: Any, width: Any) -> Any:
    """Nearest neighbour with source index `floor(i * in / out)`.

    `ops.image.resize` takes half-pixel centres, which differ as soon as the sizes are no
    multiples of each other: 3 to 7 at the last stage of a 224-pixel clip.
    """
    return _resize_axis(_resize_axis(x, 1, height), 2, width)


def _resize_axis(x: Any, axis: int, size: Any) -> Any:
    current = x.shape[axis]
    if current is None or not isinstance(size, int):
        index = ops.arange(size) * ops.shape(x)[axis] // size
        return ops.take(x, index, axis=axis)
    if current == size:
        return x
    if size % current == 0:
        # A broadcast, whose gradient is a plain sum; that of a gather is a scatter.
        return ops.repeat(x, size // current, axis=axis)
    return ops.take(x, np.arange(size) * current // size, axis=axis)
