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
    """Converts frames as they come and puts each where its index was asked for.

    Args:
        name: How errors call the video.
        indices: The flattened indices asked for.
        size: What upright frames are resized to; see `read_frames`.
        num_threads: Threads for the conversion of one frame; `None` for one per processor.
        max_bytes: The most that the frames may take; `None` for what `keras_tdn.limits` allows.
    """

    def __init__(
        self,
        name: str,
        indices: np.ndarray,
        size: FrameSize,
        num_threads: int | None,
        max_bytes: int | None = None,
    ) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._positions: dict[int, list[int]] = {}
        for position, index in enumerate(indices.tolist()):
            self._positions.setdefault(index, []).append(position)
        self.wanted = sorted(self._positions)
        self._pixels: np.ndarray | None = None
        self._num_frames = len(indices)
        self._size = size
        self._converter = FrameConverter(name, num_threads)

    @property
    def is_complete(self) -> bool:
        return not self._positions

    @property
    def pixels(self) -> np.ndarray:
        if self._pixels is None or self._positions:
            raise RuntimeError("Frames are taken before all of them were added.")
        return self._pixels

    def expect(self, stored_size: tuple[int, int]) -> None:
        """Refuses what would take too much memory before the decoder takes any.

        Args:
            stored_size: Height and width of the frames that will come, as in `add`.

        Raises:
            VideoDecodeError: if there are too many pixels.
        """
        height, width = resized_size(self._size, *stored_size)
        frames = "1 frame" if self._num_frames == 1 else f"{self._num_frames} frames"
        check_clip_bytes(
            self._name,
            3 * self._num_frames * height * width,
            f"{frames} of {height}x{width} pixels",
            self._max_bytes,
        )

    def add(self, index: int, frame: av.VideoFrame, stored_size: tuple[int, int]) -> None:
        """Takes one frame.

        Args:
            index: Its number among the frames shown.
            frame: The frame as it was decoded.
            stored_size: Height and width that it is given before it is turned upright.

        Raises:
            VideoDecodeError: if it does not go with the others.
        """
        positions = self._positions.pop(index)
        upright = self._converter.upright_size(frame, *stored_size)
        height, width = resized_size(self._size, *upright)
        if self._pixels is None:
            self.expect(upright)
            self._pixels = np.empty((self._num_frames, height, width, 3), np.uint8)
        elif self._pixels.shape[1:3] != (height, width):
            raise VideoDecodeError(
                f"Cannot read {self._name}: its frames change midway between upright and lying. "
                "Encode it again."
            )
        pixels = self._converter.convert(frame, height, width)
        for position in positions:
            self._pixels[position] = pixels


@dataclasses.dataclass(frozen=True)
class Orientation:
    """How stored pixels become upright ones: transposed first, then reversed along the axes.

    Args:
        transposed: Whether rows and columns change places.
        rows_reversed: Whether what is then the last row is shown first.
        columns_reversed: The same of columns.
    """

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
    """Converts frames of one video to pixels, one at a time.

    Use one for all frames of a video: each new one would set up the scaling afresh.

    Args:
        name: How errors call the video.
        num_threads: Threads for the conversion of one frame; `None` for one per processor.
    """

    def __init__(self, name: str, num_threads: int | None = None) -> None:
        self._name = name
        self._reformatter = VideoReformatter()
        self._num_threads = num_threads or 0

    def convert(self, frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """Returns pixels in [0, 255], red green blue, uint8 of shape `(height, width, 3)`.

        Args:
            frame: The frame as it was decoded.
            height: Height of the upright pixels.
            width: Their width.

        Raises:
            VideoDecodeError: if the frame is not to be shown upright or on a side, or is too large.
        """
        orientation = orientation_of(self._name, frame)
        stored_height, stored_width = orientation.size(height, width)
        try:
            check_bytes(3 * height * width, "clip", f"a frame of {height}x{width} pixels")
            picture = self._reformatter.reformat(
                frame,
                height=stored_height,
                width=stored_width,
                format="rgb24",
                threads=self._num_threads,
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
    a matrix that leaves no area is taken for none.

    Args:
        name: How errors call the video.
        frame: The frame as it was decoded.

    Raises:
        VideoDecodeError: if the matrix turns the frame by anything but quarters.
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
    """Returns height and width of stored frames once their pixels are made square.

    The height stays, as it does where FFmpeg scales to `iw*sar:ih`.

    Args:
        stream: The video stream, which says how wide pixels are.
        height: Rows stored.
        width: Columns stored.
    """
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
