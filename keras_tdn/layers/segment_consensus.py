"""The consensus over the segments of a video."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.layer_helpers import SegmentLayer, check_folded_batch
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class SegmentConsensus(SegmentLayer):
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

    def call(self, x: Any) -> Any:
        self.check_shape(x.shape)
        return ops.mean(ops.reshape(x, (-1, self.num_segments, *ops.shape(x)[1:])), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *rest = super().compute_output_shape(input_shape)
        return (None if batch is None else batch // self.num_segments, *rest)

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raises unless it is that of a folded batch, of any rank from 2."""
        if len(shape) < 2:
            raise ValueError(
                "SegmentConsensus needs an input of at least 2 axes, (batch * num_segments, ...). "
                f"Received: shape={tuple(shape)}"
            )
        check_folded_batch("SegmentConsensus", shape[0], self.num_segments)
