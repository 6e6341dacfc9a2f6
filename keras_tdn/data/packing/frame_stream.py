"""All frames of a video, one after the other, as they will be stored."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from keras_tdn.data.decoding.interface import resized_size


def stream_frames(path: str, short_side: int) -> Iterator[np.ndarray]:
    """Decodes a video from start to end, with one frame in memory at a time.

    The frames are those that `read_frames` reads at that size, in the same order: resized in the
    decoder's own pixel format, bilinear with antialiasing. That is the filter which the published
    models' frames were resized with, and of those at hand the closest to it.

    Args:
        path: Path of a video file.
        short_side: Pixels that a longer short side is shrunk to.

    Returns:
        An iterator of pixels in [0, 255], uint8, each of one shape `(height, width, 3)`.

    Raises:
        VideoDecodeError: while iterating, if the file is not a video. One without a frame that
            decodes has none.
    """
    from keras_tdn.data.decoding.frame_conversion import FrameConverter
    from keras_tdn.data.decoding.interface import open_source
    from keras_tdn.data.decoding.pyav_decoder import every_frame

    size: tuple[int, int] | None = None
    name, opened = open_source(path)
    converter = FrameConverter(name, num_threads=1)
    for frame, stored_size in every_frame(name, opened, 1):
        if size is None:
            size = shrunk_size(*converter.upright_size(frame, *stored_size), short_side)
        yield np.ascontiguousarray(converter.convert(frame, *size))


def frame_rate(path: str) -> float | None:
    """Frames per second, as the header tells them; `None` where it does not."""
    from keras_tdn.data.decoding.interface import open_source
    from keras_tdn.data.decoding.pyav_container import open_container, video_stream

    if os.path.isdir(path):
        return None
    name, opened = open_source(path)
    with open_container(name, opened) as container:
        rate = video_stream(name, container).average_rate
    return float(rate) if rate else None


def shrunk_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width that frames are stored with."""
    return resized_size(short_side if min(height, width) > short_side else None, height, width)
