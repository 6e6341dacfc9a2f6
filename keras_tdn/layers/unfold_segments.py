"""Giving the segments of a video an axis of their own."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.layer_helpers import SegmentLayer
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class UnfoldSegments(SegmentLayer):
    """Splits a folded batch axis into batch and segments.

    Use it where features per segment leave a network that holds the segments on its batch axis.

    Args:
        num_segments: Segments per video; neighbours on the batch axis.

    Input shape:
        4-D `(batch * num_segments, height, width, channels)`.

    Output shape:
        5-D `(batch, num_segments, height, width, channels)`.

    Raises:
        ValueError: if the input is not 4-D or its first axis is not divisible by `num_segments`.

    Example:

    >>> features = keras.ops.ones((2 * 8, 7, 7, 2048))
    >>> keras_tdn.layers.UnfoldSegments(num_segments=8)(features).shape
    (2, 8, 7, 7, 2048)
    """

    def call(self, x: Any) -> Any:
        self.check_shape(x.shape)
        return ops.reshape(x, (-1, self.num_segments, *ops.shape(x)[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *rest = super().compute_output_shape(input_shape)
        return (None if batch is None else batch // self.num_segments, self.num_segments, *rest)
