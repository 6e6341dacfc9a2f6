"""The alternative decoder: tensorflow-io's `tfio.experimental.ffmpeg.decode_video`."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from keras_tdn.data.decoding.frame_conversion import Orientation, orientation_of, square_size
from keras_tdn.data.decoding.interface import (
    FrameSize,
    VideoDecodeError,
    VideoSource,
    check_clip_bytes,
    check_indices,
    open_source,
    resized_size,
)
from keras_tdn.data.decoding.pyav_container import open_container, video_stream

HOW_TO_INSTALL = (
    "The decoder 'tfio' needs tensorflow-io 0.37.1, which loads only beside TensorFlow 2.16 "
    "(Python 3.11 or older) and the shared libraries of FFmpeg 4 (libavcodec.so.58 and its "
    "companions) on the loader's path. Install `keras-tdn[tfio]` and FFmpeg 4, or use the decoder "
    "'pyav', which needs neither."
)

# FFmpeg 4 converts these in blocks of so many columns and leaves the rest of a row as it was.
BLOCK = 8
BLOCKWISE_FORMATS = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"})


class TFIODecoder:
    """Decodes whole videos with tensorflow-io.

    Use it through `get_decoder("tfio")`, where tensorflow-io is there already. Frames and their
    order are those of the default decoder, and so are 8-bit pixels, with these limits:

    - The whole video is decoded and held as RGB, whatever is wanted of it: three bytes per pixel.
    - Colours are converted as BT.601 says, in the limited range. Videos tagged otherwise (BT.709,
      full range) and 10-bit ones come out a few levels off.
    - Of common videos whose width is not a multiple of 8, tensorflow-io leaves the last columns
      unwritten; they repeat the column before. In a width of 340 those are the last 4.
    - The header is read by PyAV, because tensorflow-io does not report how frames are shown.
    - Resized frames differ slightly from the default decoder's, which resizes before it converts.

    Args:
        max_bytes: The most that the frames of one call may take; see `get_decoder`.

    Raises:
        ImportError: if tensorflow-io or FFmpeg 4 is not installed, saying how.

    Example:

    >>> get_decoder("tfio").read_frames("video.mp4", lambda num_frames: [0]).shape
    (1, 256, 320, 3)
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        try:
            import tensorflow_io
        except (ImportError, NotImplementedError) as error:
            raise ImportError(HOW_TO_INSTALL) from error
        self._decode_video = tensorflow_io.experimental.ffmpeg.decode_video

    def read_frames(
        self,
        source: VideoSource,
        choose_indices: Callable[[int], Any],
        size: FrameSize = None,
    ) -> np.ndarray:
        """Reads chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        resized_size(size, 1, 1)
        name, opened = open_source(source)
        header = _read_header(name, opened)
        frames = self._decode(name, opened)
        indices = check_indices(choose_indices(len(frames)), len(frames))
        check_clip_bytes(
            name, len(indices) * frames[0].nbytes, f"{len(indices)} frames", self.max_bytes
        )
        chosen = frames[indices]
        width = chosen.shape[2]
        if header.is_blockwise and width > BLOCK and width % BLOCK:
            written = width - width % BLOCK
            chosen[:, :, written:] = chosen[:, :, written - 1 : written]
        upright = np.stack([header.orientation.apply(frame) for frame in chosen])
        shown_size = header.orientation.size(*header.square_size)
        return _resize(upright, resized_size(size, *shown_size))

    def _decode(self, name: str, opened: str | BinaryIO) -> np.ndarray:
        import tensorflow as tf

        try:
            with warnings.catch_warnings():
                # One for each FFmpeg release that is looked for and not there.
                warnings.filterwarnings("ignore", "could not load", UserWarning)
                frames = self._decode_video(_content(opened)).numpy()
        except NotImplementedError as error:
            raise ImportError(HOW_TO_INSTALL) from error
        except tf.errors.OpError as error:
            raise VideoDecodeError(
                f"Cannot read {name}: tensorflow-io does not decode it ({error.message}). "
                "Try the decoder 'pyav'."
            ) from error
        if len(frames) == 0:
            raise VideoDecodeError(
                f"Cannot read {name}: not one of its frames decodes. The file is damaged or "
                "incomplete; fetch or encode it again."
            )
        return frames


@dataclasses.dataclass(frozen=True)
class _Header:
    """What tensorflow-io does not report: how frames are shown, and whether columns go missing."""

    orientation: Orientation
    square_size: tuple[int, int]
    is_blockwise: bool


def _read_header(name: str, opened: str | BinaryIO) -> _Header:
    with open_container(name, opened) as container:
        stream = video_stream(name, container)
        codec = stream.codec_context
        # The orientation is known only with a frame.
        first = next(container.decode(stream), None)
        return _Header(
            Orientation() if first is None else orientation_of(name, first),
            square_size(stream, codec.height, codec.width),
            codec.pix_fmt in BLOCKWISE_FORMATS,
        )


def _content(opened: str | BinaryIO) -> bytes:
    if isinstance(opened, str):
        with open(opened, "rb") as file:
            return file.read()
    opened.seek(0)
    return opened.read()


def _resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if frames.shape[1:3] == size:
        return np.ascontiguousarray(frames)
    import tensorflow as tf

    resized = tf.image.resize(frames, size, method="bilinear", antialias=True).numpy()
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
