"""The default decoder: PyAV, which carries FFmpeg's libraries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tdn.data.decoding.frame_collector import FrameCollector
from keras_tdn.data.decoding.h264_headers import UnsupportedStream
from keras_tdn.data.decoding.interface import (
    FrameSize,
    VideoSource,
    check_indices,
    resized_size,
)
from keras_tdn.data.decoding.pyav_indexed import IndexedVideo
from keras_tdn.data.decoding.pyav_sequential import read_sequentially
from keras_tdn.data.decoding.sources import open_source


class PyAVDecoder:
    """Decodes each video once, and of H.264 only what the wanted frames need.

    Use it through `get_decoder` or `read_frames`. Where packets alone tell the order of a video's
    pictures (`h264_index` says when they do), decoding starts at the keyframe before each wanted
    frame, ends with the last wanted one, and leaves out pictures that are neither wanted nor
    referred to. Every other video is decoded from start to end. Both ways give the same frames.
    What would take more memory than `keras_tdn.limits` allows is refused before it is decoded.

    Args:
        num_threads: Threads for one video; `None` takes as many as there are processors.

    Example:

    >>> PyAVDecoder(num_threads=1).read_frames("video.mp4", lambda num_frames: [0]).shape
    (1, 256, 340, 3)
    """

    def __init__(self, num_threads: int | None = None) -> None:
        self.num_threads = num_threads

    def read_frames(
        self,
        source: VideoSource,
        choose_indices: Callable[[int], Any],
        size: FrameSize = None,
    ) -> np.ndarray:
        """Pixels of chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        # Wrong arguments are reported before the time that decoding takes is spent.
        resized_size(size, 1, 1)
        name, opened = open_source(source)

        def collect(num_frames: int) -> FrameCollector:
            indices = check_indices(choose_indices(num_frames), num_frames)
            return FrameCollector(name, indices, size, self.num_threads)

        with contextlib.suppress(UnsupportedStream), IndexedVideo(name, opened) as video:
            collector = collect(len(video.index.shown))
            if video.read_into(collector, self.num_threads):
                return collector.pixels
        return read_sequentially(name, opened, self.num_threads, collect).pixels


def why_sequential(source: VideoSource) -> str:
    """Why a video is decoded from start to end whatever is wanted of it; empty if it is not.

    Raises:
        VideoDecodeError: if the source is not a video.
    """
    try:
        with IndexedVideo(*open_source(source)):
            return ""
    except UnsupportedStream as error:
        return str(error)
