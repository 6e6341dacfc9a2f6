"""Layers that give segments an axis, take it away, or choose one frame of each."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.layer_helpers import ClipLayer, SegmentLayer, check_folded_batch
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class CenterFrame(ClipLayer):
    """Takes the centre frame of every segment and folds segments into the batch axis.

    The appearance path of TDN is a 2-D network on these frames (section 3.1 of the paper).

    Args:
        frames_per_segment: Neighbouring frames in a segment; the centre is
            `frames_per_segment // 2`.

    Input shape:
        5-D `(batch, num_segments * frames_per_segment, height, width, channels)`.

    Output shape:
        4-D `(batch * num_segments, height, width, channels)`.

    Raises:
        ValueError: if the input is not 5-D, or its frames do not divide into segments.

    Example:

    >>> clips = keras.ops.ones((2, 8 * 5, 64, 64, 3))
    >>> keras_tdn.layers.CenterFrame(frames_per_segment=5)(clips).shape
    (16, 64, 64, 3)
    """

    def __init__(self, frames_per_segment: int = 5, **kwargs: Any) -> None:
        super().__init__(frames_per_segment, **kwargs)

    def call(self, clips: Any) -> Any:
        frames = ops.reshape(clips, (-1, self.frames_per_segment, *ops.shape(clips)[2:]))
        return frames[:, self.frames_per_segment // 2]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (self.folded_batch(input_shape), *input_shape[2:])

    def compute_output_spec(self, clips: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(clips.shape), dtype=clips.dtype)


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
