"""Looking at a folded batch, `(batch * num_segments, h, w, c)`, segment by segment.

Everything stays at four axes: mobile and some accelerator runtimes take no more.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def split_segments(x: Any, num_segments: int) -> Any:
    """`(batch * num_segments, h, w, c)` as `(batch, num_segments, h * w, c)`."""
    _, height, width, channels = ops.shape(x)
    return ops.reshape(x, (-1, num_segments, height * width, channels))


def merge_segments(x: Any, like: Any) -> Any:
    """Undoes `split_segments`; height and width are those of `like`."""
    _, height, width, _ = ops.shape(like)
    return ops.reshape(x, (-1, height, width, x.shape[-1]))


def following(x: Any) -> Any:
    """Each segment's successor, and zeros for the last; axis 1 counts the segments."""
    return ops.concatenate([x[:, 1:], ops.zeros_like(x[:, :1])], axis=1)


def preceding(x: Any) -> Any:
    """Each segment's predecessor, and zeros for the first; axis 1 counts the segments."""
    return ops.concatenate([ops.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
