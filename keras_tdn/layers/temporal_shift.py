"""The temporal shift convolution."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tdn.layers.convolution import depthwise
from keras_tdn.layers.layer_helpers import (
    SegmentLayer,
    all_but_first,
    all_but_last,
    check_channels,
    check_positive_int,
    merge_segments,
    split_segments,
)
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

TAPS = 3


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class TemporalShift(SegmentLayer):
    """Depthwise convolution over the segments, kernel 3, that starts as a shift of channels.

    Use it inside a residual block of a 2-D network whose batch axis holds the segments. At the
    start the first `channels // shift_div` channels read the next segment, as many more the
    previous one, and the rest their own; training may change every weight (section 4.1 of the
    paper, after TSM). Videos are padded with zeros at both ends.

    Args:
        num_segments: Segments per video; neighbours on the batch axis.
        shift_div: One part in `shift_div` of the channels starts shifted in each direction, at
            least 2.

    Input shape:
        4-D `(batch * num_segments, height, width, channels)`.

    Output shape:
        The input's.

    Raises:
        ValueError: if the input is of another shape or has fewer than `shift_div` channels.

    Example:

    >>> features = keras.ops.ones((2 * 8, 14, 14, 256))
    >>> keras_tdn.layers.TemporalShift(num_segments=8)(features).shape
    (16, 14, 14, 256)
    """

    def __init__(self, num_segments: int, shift_div: int = 8, **kwargs: Any) -> None:
        super().__init__(num_segments, **kwargs)
        self.shift_div = check_positive_int("TemporalShift", "shift_div", shift_div, minimum=2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.check_shape(input_shape)
        channels = check_channels("TemporalShift", input_shape)
        fold = channels // self.shift_div
        if fold == 0:
            raise ValueError(
                f"TemporalShift shifts one in shift_div={self.shift_div} channels each way, and "
                f"{channels} channels are fewer than that. Choose a smaller shift_div. "
                f"Received: shape={tuple(input_shape)}"
            )
        self.kernel = self.add_weight(
            shape=(TAPS, channels), initializer=_shift_initializer(fold), name="kernel"
        )

    def call(self, x: Any) -> Any:
        self.check_shape(x.shape)
        segments = split_segments(x, self.num_segments)
        if keras.backend.backend() == "jax":
            # XLA fuses multiply-adds; its grouped convolutions are slow.
            past, present, future = self.kernel[0], self.kernel[1], self.kernel[2]
            edge = ops.zeros_like(segments[:, :1])
            preceding = ops.concatenate([edge, all_but_last(segments)], axis=1)
            following = ops.concatenate([all_but_first(segments), edge], axis=1)
            shifted = preceding * past + segments * present + following * future
        else:
            shifted = depthwise(segments, ops.cast(self.kernel, x.dtype)[:, None])
        return merge_segments(shifted, like=x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shift_div": self.shift_div}


def _shift_initializer(fold: int) -> Any:
    def initialize(shape: tuple[int, int], dtype: Any = None) -> Any:
        kernel = np.zeros(shape)
        kernel[2, :fold] = 1.0
        kernel[0, fold : 2 * fold] = 1.0
        kernel[1, 2 * fold :] = 1.0
        return ops.convert_to_tensor(kernel, dtype=dtype)

    return initialize
