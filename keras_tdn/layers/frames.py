"""Taking a clip apart: `(batch, num_segments * frames_per_segment, height, width, channels)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_tdn.layers.validation import check_rank


def check_clip_shape(layer: str, shape: Sequence[int | None], frames_per_segment: int) -> None:
    """Raises unless `shape` is that of a batch of clips whose frames divide into segments."""
    check_rank(layer, shape, "(batch, frames, height, width, channels)")
    frames = shape[1]
    if frames is not None and (frames == 0 or frames % frames_per_segment):
        raise ValueError(
            f"{layer} takes clips of num_segments * frames_per_segment frames; {frames} frames are "
            f"not divisible by frames_per_segment={frames_per_segment}. "
            f"Received: shape={tuple(shape)}"
        )


def folded_batch(shape: Sequence[int | None], frames_per_segment: int) -> int | None:
    """`batch * num_segments` of a batch of clips, or `None` where either is unknown."""
    batch, frames = shape[:2]
    return None if batch is None or frames is None else batch * (frames // frames_per_segment)


def unfold_frames(clips: Any, frames_per_segment: int) -> Any:
    """A batch of clips as `(batch * num_segments, frames_per_segment, height, width, channels)`."""
    _, _, height, width, channels = ops.shape(clips)
    return ops.reshape(clips, (-1, frames_per_segment, height, width, channels))
