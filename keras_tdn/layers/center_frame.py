"""The centre frame of every segment: what the appearance path sees."""

from __future__ import annotations

from typing import Any

import keras

from keras_tdn.layers.layer_helpers import (
    check_clip_shape,
    check_positive_int,
    folded_batch,
    unfold_frames,
)
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class CenterFrame(keras.layers.Layer):
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
        super().__init__(**kwargs)
        self.frames_per_segment = check_positive_int(
            "CenterFrame", "frames_per_segment", frames_per_segment
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        check_clip_shape("CenterFrame", input_shape, self.frames_per_segment)

    def call(self, clips: Any) -> Any:
        return unfold_frames(clips, self.frames_per_segment)[:, self.frames_per_segment // 2]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        check_clip_shape("CenterFrame", input_shape, self.frames_per_segment)
        return (folded_batch(input_shape, self.frames_per_segment), *input_shape[2:])

    def compute_output_spec(self, clips: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(clips.shape), dtype=clips.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frames_per_segment": self.frames_per_segment}
