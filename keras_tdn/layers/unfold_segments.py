"""Giving the segments of a video an axis of their own."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.common import SERIALIZATION_PACKAGE
from keras_tdn.layers.validation import check_folded_batch, check_positive_int, check_rank


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class UnfoldSegments(keras.layers.Layer):
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

    def __init__(self, num_segments: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_segments = check_positive_int("UnfoldSegments", "num_segments", num_segments)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_shape(input_shape)

    def call(self, x: Any) -> Any:
        self._check_shape(x.shape)
        return ops.reshape(x, (-1, self.num_segments, *ops.shape(x)[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self._check_shape(input_shape)
        batch = input_shape[0]
        batch = None if batch is None else batch // self.num_segments
        return (batch, self.num_segments, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_segments": self.num_segments}

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        check_rank("UnfoldSegments", shape, "(batch * num_segments, height, width, channels)")
        check_folded_batch("UnfoldSegments", shape[0], self.num_segments)
