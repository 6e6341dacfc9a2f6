"""Clips out of packed records, in the TensorFlow graph; `keras_tdn.data.packing` writes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from keras_tdn.data.jpeg_frames import decode_distinct
from keras_tdn.data.packing.index import PackedIndex, PackedRecord, load_packed_index
from keras_tdn.data.packing.sequence_example import parse_frames
from keras_tdn.data.records import Record, RecordList

if TYPE_CHECKING:
    import tensorflow as tf

# Read at once; a ten-second video takes several of them.
BUFFER_BYTES = 2**20


class PackedRecordList(RecordList):
    """Records of a packing, all of them by default; `load_packed` makes one.

    `num_frames` are the frames that are stored, and slices are lists of packed records too. In the
    order of the list, neighbours lie in different shards, so that reading several side by side is
    interleaved.
    """

    def __init__(self, packing: PackedIndex, packed: Iterable[PackedRecord] | None = None) -> None:
        self.packing = packing
        self.packed = packing.records if packed is None else tuple(packed)
        super().__init__(self.packed, packing.labels, packing.num_classes)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> PackedRecordList: ...
    def __getitem__(self, position: int | slice) -> Record | RecordList:
        if isinstance(position, slice):
            return PackedRecordList(self.packing, self.packed[position])
        return super().__getitem__(position)

    def columns(self) -> dict[str, np.ndarray]:
        """Returns what a graph needs to know, in arrays with one entry per record.

        They are `shard`, the path of its file, as bytes; `offset`, where it begins there, int64;
        `num_frames`, `height` and `width` of the stored frames, int32.
        """
        paths = list(map(os.fsencode, self.packing.paths))
        types = {"offset": np.int64, "num_frames": np.int32, "height": np.int32, "width": np.int32}
        columns = {
            name: np.array([getattr(record, name) for record in self.packed], dtype)
            for name, dtype in types.items()
        }
        return {**columns, "shard": np.array([paths[record.shard] for record in self.packed])}


def load_packed(source: str | os.PathLike[str], *, check_files: bool = True) -> PackedRecordList:
    """Loads the records of a packing, as `load_records` does those of a list of videos.

    Equal seeds give equal frame indices from packed records and from the videos, because each
    record keeps its `index` and all its frames.

    Args:
        source: The folder that `keras-tdn pack` wrote, or the path of its `index.json`.
        check_files: Whether to look for every shard and compare its size.

    Returns:
        A `PackedRecordList`. What could not be packed is in `records.packing.failures`.

    Raises:
        ValueError: if there is no index, or a shard is missing or cut short.

    Example:

    >>> records = load_packed("packed/train")
    >>> len(records), records[0].num_frames
    (150, 57)
    """
    index = load_packed_index(source)
    if check_files:
        index.check()
    return PackedRecordList(index)


def decode_packed_frames(shard: Any, offset: Any, indices: Any, crop: Any = None) -> tf.Tensor:
    """Decodes chosen frames of one packed record, also inside a TensorFlow graph.

    `PackedRecordList.columns` gives `shard` and `offset`. The record alone is read, and its
    checksum compared. `indices` are zero-based, of any shape; `crop` and the result are as in
    `decode_frame_files`. A missing file, a damaged record, or indices or a window outside are a
    `tf.errors.OpError`.
    """
    import tensorflow as tf

    pictures = parse_frames(_records_from(shard, offset).get_single_element())
    indices = tf.reshape(tf.cast(indices, tf.int64), [-1])
    return decode_distinct(indices, lambda index: tf.gather(pictures, index), crop)


def _records_from(shard: Any, offset: Any) -> tf.data.Dataset:
    """Returns the record at an offset, as a data set of one element."""
    import tensorflow as tf

    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.reshape(shard, [1]),
        compression_type="",
        buffer_size=BUFFER_BYTES,
        byte_offsets=tf.reshape(tf.cast(offset, tf.int64), [1]),
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec((), tf.string)).take(1)
