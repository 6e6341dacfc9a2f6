"""Checks of the model constructors' arguments, each answered before a layer is made."""

from __future__ import annotations

from collections.abc import Sequence

from keras_tdn.layers.validation import check_positive_int

NUM_STAGES = 4
MIN_SIZE = 32
POOLINGS = (None, "avg", "max")
CHANNELS = 3


def check_stage_depths(stage_depths: Sequence[int]) -> tuple[int, ...]:
    """Four positive integers."""
    if isinstance(stage_depths, str) or len(tuple(stage_depths)) != NUM_STAGES:
        raise ValueError(
            f"`stage_depths` needs {NUM_STAGES} integers, the bottlenecks of each stage, for "
            f"example (3, 4, 6, 3). Received: stage_depths={stage_depths!r}"
        )
    return tuple(check_positive_int("TDNResNet", "stage_depths", depth) for depth in stage_depths)


def check_clip_shape(
    input_shape: Sequence[int | None] | None, num_segments: int, frames_per_segment: int
) -> tuple[int | None, ...]:
    """The shape of one clip, with the number of frames filled in."""
    frames = num_segments * frames_per_segment
    if input_shape is None:
        return (frames, None, None, CHANNELS)
    shape = tuple(input_shape)
    expected = f"({frames}, height, width, {CHANNELS})"
    if len(shape) != 4 or shape[0] not in (frames, None) or shape[3] != CHANNELS:
        raise ValueError(
            f"`input_shape` is that of one clip, without the batch axis: {expected} for "
            f"{num_segments} segments of {frames_per_segment} frames. "
            f"Received: input_shape={input_shape}"
        )
    for size in shape[1:3]:
        if size is not None and (not isinstance(size, int) or size < MIN_SIZE):
            raise ValueError(
                f"Height and width of a clip must be at least {MIN_SIZE} pixels, or None for any "
                f"size. Received: input_shape={input_shape}"
            )
    return (frames, *shape[1:])


def check_head(
    include_top: bool, pooling: str | None, classes: int, labels: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The labels as a tuple, after checking what belongs to the model's end."""
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: pooling={pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` chooses the output of a model without its classifier: pass "
            f"include_top=False with it. Received: include_top=True, pooling={pooling!r}"
        )
    check_positive_int("TDNResNet", "classes", classes)
    if labels is None:
        return None
    if isinstance(labels, str) or len(labels) != classes:
        raise ValueError(
            f"`labels` needs one name for each of the {classes} classes, in the order of the "
            f"model's scores. Received: {labels if isinstance(labels, str) else len(labels)}"
            f"{'' if isinstance(labels, str) else ' names'}"
        )
    return tuple(str(label) for label in labels)


def check_fraction(argument: str, value: float) -> float:
    """A number from 0 up to, not including, 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"`{argument}` must be in [0, 1). Received: {argument}={value!r}")
    return float(value)
