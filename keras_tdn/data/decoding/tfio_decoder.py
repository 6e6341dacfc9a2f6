"""The alternative decoder: tensorflow-io's `tfio.experimental.ffmpeg.decode_video`."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np

from keras_tdn.data.decoding.frame_conversion import Orientation, orientation_of, square_size
from keras_tdn.data.decoding.interface import (
    NO_FRAMES,
    ChooseIndices,
    FrameSize,
    VideoDecodeError,
    VideoSource,
    check_clip_bytes,
    check_indices,
    open_source,
    resize_pixels,
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

    Use it through `get_decoder("tfio")`. Frames, their order and 8-bit pixels are those of the
    default decoder, with these limits:

    - The whole video is decoded and held as RGB, whatever is wanted of it: three bytes per pixel.
    - Colours are converted as BT.601 says, in the limited range. Videos tagged otherwise (BT.709,
      full range) and 10-bit ones come out a few levels off.
    - Of common videos whose width is not a multiple of 8, tensorflow-io leaves the last columns
      unwritten; they repeat the column before. In a width of 340 those are the last 4.
    - Resized frames differ slightly from the default decoder's, which resizes before it converts.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        try:
            import tensorflow_io
        except (ImportError, NotImplementedError) as error:
            raise ImportError(HOW_TO_INSTALL) from error
        self._decode_video = tensorflow_io.experimental.ffmpeg.decode_video

    def read_frames(
        self, source: VideoSource, choose_indices: ChooseIndices, size: FrameSize = None
    ) -> np.ndarray:
        """Reads chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        resized_size(size, 1, 1)
        name, opened = open_source(source)
        orientation, square, is_blockwise = _read_header(name, opened)
        frames = self._decode(name, opened)
        indices = check_indices(choose_indices(len(frames)), len(frames))
        num_bytes = len(indices) * frames[0].nbytes
        check_clip_bytes(name, num_bytes, f"{len(indices)} frames", self.max_bytes)
        chosen = frames[indices]
        width = chosen.shape[2]
        if is_blockwise and width > BLOCK and width % BLOCK:
            written = width - width % BLOCK
            chosen[:, :, written:] = chosen[:, :, written - 1 : written]
        upright = np.stack([orientation.apply(frame) for frame in chosen])
        return resize_pixels(upright, resized_size(size, *orientation.size(*square)))

    def _decode(self, name: str, opened: str | BinaryIO) -> np.ndarray:
        import tensorflow as tf

        with open(opened, "rb") if isinstance(opened, str) else nullcontext(opened) as file:
            file.seek(0)
            content = file.read()
        try:
            with warnings.catch_warnings():
                # One for each FFmpeg release that is looked for and not there.
                warnings.filterwarnings("ignore", "could not load", UserWarning)
                frames = self._decode_video(content).numpy()
        except NotImplementedError as error:
            raise ImportError(HOW_TO_INSTALL) from error
        except tf.errors.OpError as error:
            raise VideoDecodeError(
                f"Cannot read {name}: tensorflow-io does not decode it ({error.message}). "
                "Try the decoder 'pyav'."
            ) from error
        if len(frames) == 0:
            raise VideoDecodeError(f"Cannot read {name}: {NO_FRAMES}")
        return frames


def _read_header(name: str, opened: str | BinaryIO) -> tuple[Orientation, tuple[int, int], bool]:
    """Returns the orientation, the size in square pixels, and whether columns go missing."""
    # By PyAV, because tensorflow-io does not report them.
    with open_container(name, opened) as container:
        stream = video_stream(name, container)
        codec = stream.codec_context
        # The orientation is known only with a frame.
        first = next(container.decode(stream), None)
        orientation = Orientation() if first is None else orientation_of(name, first)
        square = square_size(stream, codec.height, codec.width)
        return orientation, square, codec.pix_fmt in BLOCKWISE_FORMATS
