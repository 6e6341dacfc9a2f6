"""How a video lies in a record: `tf.train.SequenceExample` with the keys of MediaPipe and MoViNet.

What reads those reads these, as TensorFlow's model garden does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_tdn.data.packing.frames_to_jpeg import EncodedFrames
from keras_tdn.data.records import Record

if TYPE_CHECKING:
    import tensorflow as tf

FRAMES = "image/encoded"
FRAME_FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
FRAME_RATE = "image/frame_rate"
LABEL = "clip/label/index"
LABEL_TEXT = "clip/label/text"
PATH = "clip/data_path"
# The field has no keys for these two; readers that know nothing of them skip them.
NUM_FRAMES = "clip/num_frames"
INDEX = "clip/index"

JPEG = b"jpeg"
# What a record without a label reads as.
NO_LABEL = -1


def to_sequence_example(record: Record, text: str | None, frames: EncodedFrames) -> bytes:
    """A record's bytes; equal arguments give equal bytes."""
    import tensorflow as tf

    context: dict[str, Any] = {
        FRAME_FORMAT: JPEG,
        HEIGHT: frames.height,
        WIDTH: frames.width,
        FRAME_RATE: frames.frame_rate,
        NUM_FRAMES: len(frames.pictures),
        LABEL: record.label,
        LABEL_TEXT: None if text is None else text.encode(),
        PATH: record.path.encode("utf-8", "surrogateescape"),
        INDEX: record.index,
    }
    example = tf.train.SequenceExample()
    for key, value in context.items():
        feature = example.context.feature
        if isinstance(value, bytes):
            feature[key].bytes_list.value.append(value)
        elif isinstance(value, float):
            feature[key].float_list.value.append(value)
        elif value is not None:
            feature[key].int64_list.value.append(value)
    pictures = example.feature_lists.feature_list[FRAMES]
    for picture in frames.pictures:
        pictures.feature.add().bytes_list.value.append(picture)
    # Maps have no order of their own.
    return example.SerializeToString(deterministic=True)


def parse_sequence_example(content: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Context and frames, still encoded, inside a graph."""
    import tensorflow as tf

    integer, text = (
        tf.io.FixedLenFeature((), "int64", NO_LABEL),
        tf.io.FixedLenFeature((), "string", ""),
    )
    context, sequences = tf.io.parse_single_sequence_example(
        content,
        {
            HEIGHT: integer,
            WIDTH: integer,
            LABEL: integer,
            INDEX: integer,
            LABEL_TEXT: text,
            PATH: text,
        },
        {FRAMES: tf.io.FixedLenSequenceFeature((), "string")},
    )
    return context, sequences[FRAMES]
