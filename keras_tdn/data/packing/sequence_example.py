"""A video as a record: JPEG frames in a `tf.train.SequenceExample`.

The keys are those of MediaPipe and MoViNet: what reads theirs, as TensorFlow's model garden does,
reads these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_tdn.data.decoding.interface import (
    NO_FRAMES,
    VideoDecodeError,
    open_source,
    resize_pixels,
    resized_size,
)
from keras_tdn.data.jpeg_frames import decode_jpeg, scan_frame_folder
from keras_tdn.data.packing.index import PackOptions
from keras_tdn.data.records import Record

if TYPE_CHECKING:
    import tensorflow as tf

FRAMES = "image/encoded"
# A record is read whole, and protocol buffers end at twice this: about 14 minutes of video.
MAX_RECORD_BYTES = 2**29


def encode_record(
    record: Record, text: str | None, options: PackOptions
) -> tuple[bytes, int, tuple[int, int]]:
    """Encodes the frames of a video, decoded once, or of a folder; `text` names its class.

    Returns the packed record, whose bytes follow from the arguments, its number of frames, and
    their height and width in pixels. Raises a `VideoDecodeError`.
    """
    import tensorflow as tf

    pictures, (height, width) = _encode_frames(record.path, options)
    example = tf.train.SequenceExample()
    feature = example.context.feature
    feature["image/format"].bytes_list.value.append(b"jpeg")
    feature["image/height"].int64_list.value.append(height)
    feature["image/width"].int64_list.value.append(width)
    if (rate := frame_rate(record.path)) is not None:
        feature["image/frame_rate"].float_list.value.append(rate)
    if record.label is not None:
        feature["clip/label/index"].int64_list.value.append(record.label)
    if text is not None:
        feature["clip/label/text"].bytes_list.value.append(text.encode())
    path = record.path.encode("utf-8", "surrogateescape")
    feature["clip/data_path"].bytes_list.value.append(path)
    # There are no keys for these two elsewhere; readers that do not know them skip them.
    feature["clip/num_frames"].int64_list.value.append(len(pictures))
    feature["clip/index"].int64_list.value.append(record.index)
    encoded = example.feature_lists.feature_list[FRAMES]
    for picture in pictures:
        encoded.feature.add().bytes_list.value.append(picture)
    # Maps have no order of their own.
    return example.SerializeToString(deterministic=True), len(pictures), (height, width)


def _encode_frames(path: str, options: PackOptions) -> tuple[list[bytes], tuple[int, int]]:
    import tensorflow as tf

    frames: Iterable[tuple[np.ndarray, bytes | None]]
    if os.path.isdir(path):
        frames = _folder_frames(path, options.short_side)
    else:
        frames = ((frame, None) for frame in stream_frames(path, options.short_side))
    pictures: list[bytes] = []
    num_bytes = 0
    for frame, content in frames:
        if content is None:
            # Twice as fast as FFmpeg's encoder, and closer to the frame at equal size.
            encoded = tf.io.encode_jpeg(frame, quality=options.quality, chroma_downsampling=True)
            content = encoded.numpy()
        pictures.append(content)
        num_bytes += len(content)
        if num_bytes > MAX_RECORD_BYTES:
            raise VideoDecodeError(
                f"Cannot pack {path!r}: its first {len(pictures)} frames take more than the "
                f"{MAX_RECORD_BYTES} bytes that a record may have. Cut it into shorter clips."
            )
    if not pictures:
        raise VideoDecodeError(f"Cannot pack {path!r}: {NO_FRAMES}")
    return pictures, frame.shape[:2]


def _folder_frames(path: str, short_side: int) -> Iterator[tuple[np.ndarray, bytes | None]]:
    """Yields the frames of a folder, and those that need no resize also as they are stored."""
    import tensorflow as tf

    size = None
    for file in scan_frame_folder(path).paths:
        content = Path(file).read_bytes()
        try:
            frame = decode_jpeg(tf.constant(content)).numpy()
        except tf.errors.OpError as error:
            raise VideoDecodeError(
                f"Cannot pack {path!r}: its frame {os.path.basename(file)!r} is not a JPEG picture "
                "that decodes. Extract the frames again."
            ) from error
        height, width = frame.shape[:2]
        size = size or _shrunk_size(height, width, short_side)
        if (height, width) == size:
            yield frame, content
        else:
            yield resize_pixels(frame, size), None


def stream_frames(path: str, short_side: int) -> Iterator[np.ndarray]:
    """Decodes what `read_frames` reads at that size, with one frame in memory at a time."""
    from keras_tdn.data.decoding.frame_conversion import FrameConverter
    from keras_tdn.data.decoding.pyav_decoder import every_frame

    size: tuple[int, int] | None = None
    name, opened = open_source(path)
    converter = FrameConverter(name, num_threads=1)
    for frame, stored_size in every_frame(name, opened, 1):
        size = size or _shrunk_size(*converter.upright_size(frame, *stored_size), short_side)
        yield np.ascontiguousarray(converter.convert(frame, *size))


def frame_rate(path: str) -> float | None:
    """Returns frames per second as the header states them; `None` where it does not."""
    from keras_tdn.data.decoding.pyav_container import open_container, video_stream

    if os.path.isdir(path):
        return None
    name, opened = open_source(path)
    with open_container(name, opened) as container:
        rate = video_stream(name, container).average_rate
    return float(rate) if rate else None


def _shrunk_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    return resized_size(short_side if min(height, width) > short_side else None, height, width)


def parse_frames(content: tf.Tensor) -> tf.Tensor:
    """Returns a record's frames, still encoded, inside a graph."""
    import tensorflow as tf

    frames = {FRAMES: tf.io.FixedLenSequenceFeature((), "string")}
    return tf.io.parse_single_sequence_example(content, sequence_features=frames)[1][FRAMES]
