"""What the layers and the network share: checks, folded batches, sizes of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tdn.layers.convolution import DATA_FORMAT
from keras_tdn.specs import checked_integer

HALF_PRECISION = ("float16", "bfloat16")


def at_least_float32(compute_dtype: str) -> str:
    """Returns the dtype for pixels and scores, where half precision would lose small motion."""
    return "float32" if compute_dtype in HALF_PRECISION else compute_dtype


# === Checks of arguments and shapes ===


def check_positive_int(layer: str, argument: str, value: object, minimum: int = 1) -> int:
    """Returns `value`, or raises a `ValueError` that names the layer and the argument."""
    wanted = f"{layer} needs an integer of at least {minimum} for `{argument}`"
    return checked_integer(argument, value, wanted, minimum)


def check_rank(layer: str, shape: Sequence[int | None], axes: str) -> None:
    """Raises unless `shape` has one entry for each name in `axes`, such as `"(batch, height)"`."""
    rank = axes.count(",") + 1
    if len(shape) != rank:
        raise ValueError(
            f"{layer} needs a {rank}-D input {axes}. Received an input of rank {len(shape)}: "
            f"shape={tuple(shape)}"
        )


def check_channels(layer: str, shape: Sequence[int | None]) -> int:
    """Returns the static size of the last axis, which every weight depends on."""
    channels = shape[-1]
    if channels is None:
        raise ValueError(
            f"{layer} needs a known number of channels to make its weights. "
            f"Received: shape={tuple(shape)}"
        )
    return channels


def check_folded_batch(layer: str, batch: int | None, num_segments: int) -> None:
    """Raises if a known folded batch axis cannot be `batch * num_segments`."""
    if batch is not None and batch % num_segments:
        raise ValueError(
            f"{layer} takes inputs whose first axis is batch * num_segments, segments of one "
            f"video next to each other; {batch} is not divisible by num_segments={num_segments}. "
            "Build the layer with the number of segments that the clips have."
        )


# === Clips: `(batch, num_segments * frames_per_segment, height, width, channels)` ===


class ClipLayer(keras.layers.Layer):
    """A layer on clips, whose neighbouring frames divide into segments."""

    def __init__(self, frames_per_segment: int, minimum: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frames_per_segment = check_positive_int(
            type(self).__name__, "frames_per_segment", frames_per_segment, minimum
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.check_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frames_per_segment": self.frames_per_segment}

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raises unless it is that of a batch of clips."""
        check_rank(type(self).__name__, shape, "(batch, frames, height, width, channels)")
        frames = shape[1]
        if frames is not None and (frames == 0 or frames % self.frames_per_segment):
            raise ValueError(
                f"{type(self).__name__} takes clips of num_segments * frames_per_segment frames; "
                f"{frames} frames are not divisible by frames_per_segment="
                f"{self.frames_per_segment}. Received: shape={tuple(shape)}"
            )

    def folded_batch(self, shape: tuple[int | None, ...]) -> int | None:
        """Returns `batch * num_segments`, or `None` where either is unknown."""
        self.check_shape(shape)
        batch, frames = shape[:2]
        if batch is None or frames is None:
            return None
        return batch * (frames // self.frames_per_segment)


# === Folded batches, `(batch * num_segments, height, width, channels)`, segment by segment ===
# Everything stays at four axes: mobile and some accelerator runtimes take no more.


class SegmentLayer(keras.layers.Layer):
    """A layer on the segments of videos, which lie next to each other on the batch axis."""

    def __init__(self, num_segments: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.num_segments = check_positive_int(name, "num_segments", num_segments)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.check_shape(input_shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self.check_shape(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_segments": self.num_segments}

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raises unless it is that of a folded batch."""
        name = type(self).__name__
        check_rank(name, shape, "(batch * num_segments, height, width, channels)")
        check_folded_batch(name, shape[0], self.num_segments)


def split_segments(x: Any, num_segments: int) -> Any:
    """Reshapes `(batch * num_segments, h, w, c)` to `(batch, num_segments, h * w, c)`."""
    _, height, width, channels = ops.shape(x)
    return ops.reshape(x, (-1, num_segments, height * width, channels))


def merge_segments(x: Any, like: Any) -> Any:
    """Undoes `split_segments`; height and width are those of `like`."""
    _, height, width, _ = ops.shape(like)
    return ops.reshape(x, (-1, height, width, x.shape[-1]))


def all_but_last(x: Any) -> Any:
    """Returns the segments that have a successor; axis 1 counts the segments.

    By a split, whose gradient is a concatenation. The gradient of a slice is slow on TensorFlow.
    """
    return ops.split(x, [x.shape[1] - 1], axis=1)[0]


def all_but_first(x: Any) -> Any:
    """Returns the segments that have a predecessor."""
    return ops.split(x, [1], axis=1)[1]


# === Sizes of maps `(n, height, width, channels)` ===


def halve(x: Any) -> Any:
    """Pools 2x2 by average; drops an odd last row or column, and keeps an axis of size 1.

    The reference fails on an axis of size 1, which the last stage has for clips of 32 pixels.
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
    """Resizes by nearest neighbour with source index `floor(i * in / out)`.

    `ops.image.resize` takes half-pixel centres, which differ for 3 to 7: stage 4 at 224 pixels.
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
