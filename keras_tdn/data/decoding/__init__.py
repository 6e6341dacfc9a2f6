"""Frames out of a video file: one interface, and the decoders behind it.

Nothing outside this package knows a decoder; each is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tdn.data.decoding.interface import (
    Decoder,
    FrameSize,
    VideoDecodeError,
    VideoSource,
    get_decoder,
)

__all__ = [
    "Decoder",
    "FrameSize",
    "VideoDecodeError",
    "VideoSource",
    "get_decoder",
    "read_frames",
]


def read_frames(
    source: VideoSource,
    choose_indices: Callable[[int], Any],
    size: FrameSize = None,
) -> np.ndarray:
    """Reads chosen frames of a video with the default decoder, PyAV.

    Use it wherever pixels are needed from a file. Frames count in the order in which they are
    shown, from 0, and every frame that decodes counts: headers are not trusted, because many
    containers have no frame count and some have a wrong one. A damaged or truncated file gives the
    frames that do decode.

    The first video stream is read that is not a cover picture. Frames are turned upright as their
    rotation tag says. Transparency is dropped, and frames whose size changes along the way are
    scaled to the size of the first.

    Args:
        source: Path of a video file, its content as bytes, or a binary file object.
        choose_indices: Called with the number of frames; returns the zero-based indices of the
            frames wanted, in any shape, order and number. It is called a second time, with the
            number found by decoding every frame, if damage shows up only while decoding.
        size: What upright frames are resized to, in pixels: `(height, width)`, or one number for
            the short side. `None` keeps their size.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(number of indices, height, width, 3)`,
        in the order of the flattened indices.

    Raises:
        VideoDecodeError: if the source is missing, empty, not a video or without a frame that
            decodes.
        ValueError: if `choose_indices` returns something other than indices of frames, or `size`
            is not one.

    Example:

    >>> first_and_last = read_frames("video.mp4", lambda num_frames: [0, num_frames - 1])
    """
    return get_decoder("pyav").read_frames(source, choose_indices, size)
