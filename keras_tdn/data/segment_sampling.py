"""Which frames of a video a clip is made of."""

from __future__ import annotations

import operator

import numpy as np


def center_indices(num_frames: int, num_segments: int, frames_per_segment: int = 5) -> np.ndarray:
    """The frames in the middle of each segment: the one clip that stands for a whole video.

    Use it for validation and prediction. The span that segment starts can fall in is divided into
    `num_segments` equal parts, and each segment starts in the middle of its part. A video that is
    too short to give every segment a start of its own gives its opening frames to all of them.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        num_frames: Frames in the video.
        num_segments: Equal spans that the video is divided into.
        frames_per_segment: Neighbouring frames taken from each segment.

    Returns:
        Zero-based indices, int32, of shape `(num_segments, frames_per_segment)`. Those past the end
        of the video repeat its last frame.

    Raises:
        ValueError: if an argument is not a positive integer.

    Example:

    >>> center_indices(num_frames=100, num_segments=4, frames_per_segment=3)[:, 0].tolist()
    [12, 36, 61, 85]
    """
    num_frames = _positive_int("num_frames", num_frames)
    num_segments = _positive_int("num_segments", num_segments)
    frames_per_segment = _positive_int("frames_per_segment", frames_per_segment)

    reach = frames_per_segment - 1
    starts = np.zeros(num_segments, np.int64)
    # A video with exactly `num_segments` possible starts counts as too short in the reference.
    if num_frames > num_segments + reach:
        # The reference computes in Python floats and truncates; integer arithmetic would differ.
        tick = (num_frames - reach) / num_segments
        starts = (tick / 2.0 + tick * np.arange(num_segments)).astype(np.int64)
    indices = starts[:, np.newaxis] + np.arange(frames_per_segment)
    return np.minimum(indices, num_frames - 1).astype(np.int32)


def _positive_int(argument: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise ValueError(
            f"Centre sampling needs a positive integer for `{argument}`. "
            f"Received: {argument}={value!r}"
        )
    return number
