"""The consensus over the segments of a video."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.common import SERIALIZATION_PACKAGE
from keras_tdn.layers.validation import check_folded_batch, check_positive_int


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class SegmentConsensus(keras.layers.Layer):
    """Mean over the segments of each video.

    Use it on per-segment scores, before the softmax, or on per-segment features (segmental
    consensus, section 3.1 of the paper, after TSN).

    Args:
        num_segments: Segments per video; neighbours on the batch axis.

    Input shape:
        `(batch * num_segments, ...)`, at least 2-D.

    Output shape:
        `(batch, ...)`.

    Raises:
        ValueError: if the first axis is not divisible by `num_segments`.

    Example:

    >>> scores = keras.ops.ones((2 * 8, 400))
    >>> keras_tdn.layers.SegmentConsensus(num_segments=8)(scores).shape
    (2, 400)
    """

    def __init__(self, num_segments: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_segments = check_positive_int("SegmentConsensus", "num_segments", num_segments)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_shape(input_shape)

    def call(self, x: Any) -> Any:
        self._check_shape(x.shape)
        return ops.mean(ops.reshape(x, (-1, self.num_segments, *ops.shape(x)[1:])), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self._check_shape(input_shape)
        batch = input_shape[0]
        return (None if batch is None else batch // self.num_segments, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_segments": self.num_segments}

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) < 2:
            raise ValueError(
                "SegmentConsensus needs an input of at least 2 axes, (batch * num_segments, ...). "
                f"Received: shape={tuple(shape)}"
            )
        check_folded_batch("SegmentConsensus", shape[0], self.num_segments)
