"""From decoded frames to pixels as they are shown: upright, square, red green blue."""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from keras_tdn.data.decoding.interface import (
    FrameSize,
    VideoDecodeError,
    check_clip_bytes,
    resized_size,
)
from keras_tdn.data.decoding.pyav_container import reason
from keras_tdn.limits import check_bytes


class FrameCollector:
    """Converts the frames of the video `name` and puts each where its index was asked for.

    For `size` see `read_frames`, for the others `get_decoder`; `pixels` is whole once it
    `is_complete`.
    """

    def __init__(
        self,
        name: str,
        indices: np.ndarray,
        size: FrameSize,
        num_threads: int | None,
        max_bytes: int | None = None,
    ) -> None:
        self._name, self._indices, self._size = name, indices, size
        self._max_bytes, self._num_frames = max_bytes, len(indices)
        self.wanted = sorted(set(indices.tolist()))
        self._missing = set(self.wanted)
        self.pixels = np.empty((0, 0, 0, 3), np.uint8)
        self._converter = FrameConverter(name, num_threads)

    @property
    def is_complete(self) -> bool:
        return not self._missing

    def expect(self, stored_size: tuple[int, int]) -> None:
        """Refuses frames of a height and width that would take too much memory, before any does."""
        height, width = resized_size(self._size, *stored_size)
        frames = "1 frame" if self._num_frames == 1 else f"{self._num_frames} frames"
        what = f"{frames} of {height}x{width} pixels"
        num_bytes = 3 * self._num_frames * height * width
        check_clip_bytes(self._name, num_bytes, what, self._max_bytes)

    def add(self, index: int, frame: av.VideoFrame, stored_size: tuple[int, int]) -> None:
        """Takes a wanted frame, of that size once square; a `VideoDecodeError` unless it fits."""
        self._missing.remove(index)
        upright = self._converter.upright_size(frame, *stored_size)
        height, width = resized_size(self._size, *upright)
        if not len(self.pixels):
            self.expect(upright)
            self.pixels = np.empty((self._num_frames, height, width, 3), np.uint8)
        elif self.pixels.shape[1:3] != (height, width):
            raise VideoDecodeError(
                f"Cannot read {self._name}: its frames change midway between upright and lying. "
                "Encode it again."
            )
        self.pixels[self._indices == index] = self._converter.convert(frame, height, width)


@dataclasses.dataclass(frozen=True)
class Orientation:
    """How stored pixels become upright ones: transposed first, then reversed along the axes."""

    transposed: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the upright pixels, a view of those given, of shape `(height, width, 3)`."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.rows_reversed:
            pixels = pixels[::-1]
        return pixels[:, ::-1] if self.columns_reversed else pixels

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of the upright frame from those stored, and vice versa."""
        return (width, height) if self.transposed else (height, width)


class FrameConverter:
    """Converts frames of one video, `name`, by `num_threads`: it sets up the scaling once."""

    def __init__(self, name: str, num_threads: int | None = None) -> None:
        self._name = name
        self._reformatter = VideoReformatter()
        self._num_threads = num_threads or 0

    def convert(self, frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """Returns upright pixels, uint8 `(height, width, 3)`; a `VideoDecodeError` if it cannot."""
        orientation = orientation_of(self._name, frame)
        stored_height, stored_width = orientation.size(height, width)
        try:
            check_bytes(3 * height * width, "clip", f"a frame of {height}x{width} pixels")
            picture = self._reformatter.reformat(
                frame, stored_width, stored_height, format="rgb24", threads=self._num_threads
            )
        except (ValueError, av.FFmpegError) as error:
            raise VideoDecodeError(f"Cannot read {self._name}: {reason(error)}") from error
        return orientation.apply(picture.to_ndarray())

    def upright_size(
        self, frame: av.VideoFrame, stored_height: int, stored_width: int
    ) -> tuple[int, int]:
        """Returns height and width, once upright, of a frame stored in that size."""
        return orientation_of(self._name, frame).size(stored_height, stored_width)


def orientation_of(name: str, frame: av.VideoFrame) -> Orientation:
    """Reads the display matrix that came with a frame, by FFmpeg's rules.

    Cameras write one of eight: four turns, each also mirrored. Angles are rounded to a degree, and
    a matrix that leaves no area is taken for none. Other turns are a `VideoDecodeError`.
    """
    # One step to the right leads by (a, b), one down by (c, d).
    a, b, c, d = _display_matrix(frame)
    if not (a or c) or not (b or d):
        return Orientation()
    degrees = round(math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c)))) % 360
    if degrees == 0:
        return Orientation(rows_reversed=d < 0)
    if degrees == 90:
        return Orientation(transposed=True, columns_reversed=c <= 0)
    if degrees == 180:
        return Orientation(rows_reversed=d < 0, columns_reversed=a < 0)
    if degrees == 270:
        return Orientation(transposed=True, rows_reversed=True, columns_reversed=c < 0)
    raise VideoDecodeError(
        f"Cannot read {name}: it is to be shown turned by {degrees} degrees, and only quarter "
        "turns are supported. Encode it again, upright."
    )


def square_size(stream: av.VideoStream, height: int, width: int) -> tuple[int, int]:
    """Returns a stream's height, and width once pixels are square: FFmpeg's `iw*sar:ih`."""
    ratio = stream.sample_aspect_ratio
    # Where it is not known, releases of PyAV give `None` or 0.
    if not ratio or ratio.numerator < 1 or ratio.denominator < 1:
        return height, width
    return height, max(1, width * ratio.numerator // ratio.denominator)


def _display_matrix(frame: av.VideoFrame) -> tuple[float, float, float, float]:
    """Returns the matrix without its offsets, in any unit."""
    try:
        found: Any = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:
        # PyAV before 19 cannot list side data of a kind that is newer than itself.
        turn = math.radians(-frame.rotation)
        a, b = round(math.cos(turn), 6), round(math.sin(turn), 6)
        return a, b, -b, a
    if found is None:
        return 1, 0, 0, 1
    matrix = struct.unpack("=9i", bytes(found)[:36])
    return matrix[0], matrix[1], matrix[3], matrix[4]
