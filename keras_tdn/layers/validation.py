"""Checks of arguments and shapes, worded alike in every layer."""

from __future__ import annotations

from collections.abc import Sequence


def check_positive_int(layer: str, argument: str, value: object, minimum: int = 1) -> int:
    """Returns `value`, or raises a `ValueError` that names the layer and the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(
            f"{layer} needs an integer of at least {minimum} for `{argument}`. "
            f"Received: {argument}={value!r}"
        )
    return value


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
