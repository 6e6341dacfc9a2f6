"""The frames of a record, decoded one after the other, as they are stored: as JPEG."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_tdn.data.decoding.interface import VideoDecodeError, resized_size
from keras_tdn.data.frame_folders import scan_frame_folder
from keras_tdn.data.packing.packing_plan import PackOptions

# A record is read whole, and protocol buffers end at twice this: about 14 minutes of video.
MAX_RECORD_BYTES = 2**29


@dataclasses.dataclass(frozen=True)
class EncodedFrames:
    """All frames of one video.

    Args:
        pictures: One JPEG file per frame.
        height: Height of the frames in pixels.
        width: Width of the frames in pixels.
        frame_rate: Frames per second, if the source says.
    """

    pictures: list[bytes]
    height: int
    width: int
    frame_rate: float | None


def encode_frames(path: str, options: PackOptions) -> EncodedFrames:
    """Decodes a video once, or a folder of JPEG frames, and encodes its frames.

    The JPEG frames are baseline with chroma halved both ways (4:2:0), as nearly all video has it
    already. Frames of a folder that need no resize are stored as they are.

    Raises:
        VideoDecodeError: if nothing decodes, or the result is too large for one record.
    """
    is_folder = os.path.isdir(path)
    frames = _folder_frames(path, options) if is_folder else _video_frames(path, options)
    pictures: list[bytes] = []
    num_bytes = 0
    height = width = 0
    for picture, (height, width) in frames:  # noqa: B007
        pictures.append(picture)
        num_bytes += len(picture)
        if num_bytes > MAX_RECORD_BYTES:
            raise VideoDecodeError(
                f"Cannot pack {path!r}: its first {len(pictures)} frames take more than the "
                f"{MAX_RECORD_BYTES} bytes that a record may have. Cut it into shorter clips."
            )
    if not pictures:
        raise VideoDecodeError(
            f"Cannot pack {path!r}: not one of its frames decodes. The file is damaged or "
            "incomplete; fetch or encode it again."
        )
    return EncodedFrames(pictures, height, width, frame_rate(path))


def _video_frames(path: str, options: PackOptions) -> Iterator[tuple[bytes, tuple[int, int]]]:
    for frame in stream_frames(path, options.short_side):
        yield _encode(frame, options.quality), (frame.shape[0], frame.shape[1])


def _folder_frames(path: str, options: PackOptions) -> Iterator[tuple[bytes, tuple[int, int]]]:
    import tensorflow as tf

    from keras_tdn.data.jpeg_frames import decode_jpeg

    size = None
    for file in scan_frame_folder(path).paths:
        with open(file, "rb") as opened:
            content = opened.read()
        try:
            frame = decode_jpeg(tf.constant(content))
        except tf.errors.OpError as error:
            raise VideoDecodeError(
                f"Cannot pack {path!r}: its frame {os.path.basename(file)!r} is not a JPEG picture "
                "that decodes. Extract the frames again."
            ) from error
        shape = (int(frame.shape[0]), int(frame.shape[1]))
        size = size or shrunk_size(*shape, options.short_side)
        if shape != size:
            resized = tf.image.resize(frame, size, method="bilinear", antialias=True)
            pixels = np.clip(np.rint(resized.numpy()), 0, 255).astype(np.uint8)
            content = _encode(pixels, options.quality)
        yield content, size


def _encode(frame: Any, quality: int) -> bytes:
    import tensorflow as tf

    # Twice as fast as FFmpeg's encoder, and closer to the frame at equal size.
    return tf.io.encode_jpeg(frame, quality=quality, chroma_downsampling=True).numpy()


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
    """Returns frames per second as the header states them; `None` where it does not."""
    from keras_tdn.data.decoding.interface import open_source
    from keras_tdn.data.decoding.pyav_container import open_container, video_stream

    if os.path.isdir(path):
        return None
    name, opened = open_source(path)
    with open_container(name, opened) as container:
        rate = video_stream(name, container).average_rate
    return float(rate) if rate else None


def shrunk_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Returns height and width that frames are stored with."""
    return resized_size(short_side if min(height, width) > short_side else None, height, width)
