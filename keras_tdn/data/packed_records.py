"""Clips out of packed records, in the TensorFlow graph; `keras_tdn.data.packing` writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from keras_tdn.data.packing.index import PackedIndex, PackedRecord, load_packed_index
from keras_tdn.data.records import Record, RecordList
from keras_tdn.tensorflow_gpus import leave_gpus_to_backend

if TYPE_CHECKING:
    import tensorflow as tf

# Read at once; a ten-second video takes several of them.
BUFFER_BYTES = 2**20

ChooseIndices = Callable[[Any, Any], Any]
ChooseCrop = Callable[[Any, Any, Any], Any]


class PackedRecordList(RecordList):
    """Records that are packed, each with its place; `load_packed` makes one.

    It is a `RecordList` in all: `num_frames` are the frames that are stored, and slices are lists
    of packed records too. In the order of the list, neighbours lie in different shards, so that
    reading several side by side is interleaved.

    Args:
        packing: Where they lie.
        packed: Those of its records that are in this list; all by default.
    """

    __slots__ = ("packed", "packing")

    def __init__(self, packing: PackedIndex, packed: Iterable[PackedRecord] | None = None) -> None:
        self.packing = packing
        self.packed = packing.records if packed is None else tuple(packed)
        records = [
            Record(record.path, record.label, record.num_frames, record.index)
            for record in self.packed
        ]
        super().__init__(records, packing.labels, packing.num_classes)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> PackedRecordList: ...
    def __getitem__(self, position: int | slice) -> Record | RecordList:
        if isinstance(position, slice):
            return PackedRecordList(self.packing, self.packed[position])
        return super().__getitem__(position)

    def columns(self) -> dict[str, np.ndarray]:
        """What a graph needs to know of each record: arrays with one entry per record.

        Returns:
            `shard`, the path of its file, as bytes; `offset`, where it begins there, int64;
            `num_frames`, `height` and `width` of the stored frames, int32.
        """
        paths = [os.fsencode(path) for path in self.packing.paths]
        numbers = ("offset", "num_frames", "height", "width")
        columns = {
            name: np.array(
                [getattr(record, name) for record in self.packed],
                np.int64 if name == "offset" else np.int32,
            )
            for name in numbers
        }
        columns["shard"] = np.array([paths[record.shard] for record in self.packed])
        return columns

    def part(self, index: int, count: int) -> PackedRecordList:
        """The records in every `count`-th shard, beginning with the `index`-th.

        Use it where each of several machines should read, copy or cache only some of the files;
        `make_dataset(shard=...)` divides records instead, into parts that differ by one at most.

        Raises:
            ValueError: if there are fewer shards than parts, or no such part.
        """
        num_shards = len(self.packing.shards)
        if not 0 <= index < count or count > num_shards:
            raise ValueError(
                "A part is a number below the count of parts, and there are at most as many parts "
                f"as shards, {num_shards}. Received: index={index}, count={count}"
            )
        return PackedRecordList(
            self.packing, (record for record in self.packed if record.shard % count == index)
        )


def load_packed(source: str | os.PathLike[str], *, check_files: bool = True) -> PackedRecordList:
    """Loads the records of a packing, as `load_records` does those of a list of videos.

    Use it before `make_dataset` or `read_packed`. Equal seeds give equal frame indices from packed
    records and from the videos, because each record keeps its `index` and all its frames.

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
    """Decodes chosen frames of one packed record, inside a TensorFlow graph.

    Use it in `Dataset.map`, with `PackedRecordList.columns` to know the place. The record alone is
    read, wherever in its file it lies, so that any order is as good as another; its checksum is
    compared; and a frame that is chosen several times is decoded once.

    Args:
        shard: Path of the file, scalar string.
        offset: Where the record begins there, in bytes, scalar int64.
        indices: Zero-based indices of frames, integers of any shape.
        crop: Window `(top, left, height, width)` in pixels, int32, decoded instead of whole frames;
            `None` decodes all of them.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(number of indices, height, width, 3)`.

    Raises:
        tf.errors.OpError: when the graph runs, if the file is missing, the record damaged, or the
            indices or the window are outside. `Dataset.ignore_errors` skips such elements.

    Example:

    >>> columns = load_packed("packed/train").columns()
    >>> decode_packed_frames(columns["shard"][0], columns["offset"][0], [0, 8]).shape
    TensorShape([2, 256, 340, 3])
    """
    import tensorflow as tf

    from keras_tdn.data.jpeg_frames import decode_jpeg
    from keras_tdn.data.packing.sequence_example import parse_sequence_example

    content = _records_from(shard, offset).get_single_element()
    _, pictures = parse_sequence_example(content)
    indices = tf.reshape(tf.cast(indices, tf.int64), [-1])
    distinct, positions = tf.unique(indices)
    frames = tf.map_fn(
        lambda picture: decode_jpeg(picture, crop),
        tf.gather(pictures, distinct),
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
    pixels = tf.gather(frames, positions)
    pixels.set_shape([indices.shape[0], None, None, 3])
    return pixels


def read_packed(
    source: PackedRecordList | str | os.PathLike[str],
    choose_indices: ChooseIndices,
    *,
    crop: ChooseCrop | None = None,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    shard: tuple[int, int] = (0, 1),
    num_parallel_calls: int | None = None,
    deterministic: bool = True,
) -> tf.data.Dataset:
    """One epoch of clips out of packed records, one element each.

    Use it to build an input pipeline of your own; `make_dataset` is one. There is no Python in its
    graph: a `tf.data` service can run it, and its iterators can be checkpointed. It holds no
    buffer of records, because it reads them in any order.

    Damage is reported, not raised: the element of an unreadable record has no frames, and a reason.

    Args:
        source: What `load_packed` returns, or takes.
        choose_indices: Called in the graph with the number of frames and a seed, int32 of shape
            `(2,)`, as a `SegmentSampler` is; returns zero-based indices of frames.
        crop: Called with the height and width of the stored frames and the same seed, as the `box`
            of a transform is; returns the window `(top, left, height, width)` to be decoded. `None`
            decodes whole frames.
        seed: Start of all that is random.
        epoch: Number of the epoch; each has other draws, and another order if shuffled.
        shuffle: Whether the order is random, over all records; else it is that of the list.
        shard: `(index, count)`: this data set is one part of `count`, with no record in common.
        num_parallel_calls: Records read side by side; `None` lets tf.data choose.
        deterministic: Whether elements keep their order even if one is late.

    Returns:
        A `tf.data.Dataset` of dicts: `frames`, uint8 of shape `(number of indices, height, width,
        3)`; `label`, int32, -1 without one; `index`, int64, the record's; `path`, where the video
        lay; and `reason`, why there are no frames, empty if all is well. With a reason, the frames
        have the shape `(0, 0, 0, 3)`.

    Raises:
        ValueError: if there is nothing to read, or `shard` is not as described.

    Example:

    >>> sampler = SegmentSampler(num_segments=8, mode="random")
    >>> clips = read_packed("packed/train", sampler, crop=MultiScaleCrop().box, shuffle=True)
    >>> next(iter(clips))["frames"].shape
    TensorShape([40, 168, 192, 3])
    """
    import tensorflow as tf

    from keras_tdn.data.dataset.order import RecordOrder, record_seed
    from keras_tdn.data.packing.sequence_example import NO_LABEL

    leave_gpus_to_backend()
    records = source if isinstance(source, PackedRecordList) else load_packed(source)
    _check_readable(records, shard)
    order = RecordOrder(
        len(records), seed, shuffle, epoch * len(records), repeat=False, shard=shard
    )
    columns = {name: tf.constant(values) for name, values in records.columns().items()}
    columns["label"] = tf.constant(
        [NO_LABEL if record.label is None else record.label for record in records], tf.int32
    )
    columns["index"] = tf.constant([record.index for record in records], tf.int64)
    columns["path"] = tf.constant([os.fsencode(record.path) for record in records])

    def read(count: tf.Tensor) -> dict[str, tf.Tensor]:
        place = order.place(count)
        record = {name: tf.gather(values, place.row) for name, values in columns.items()}
        draw = record_seed(seed, place.epoch, record["index"])
        indices = choose_indices(record["num_frames"], draw)
        window = [] if crop is None else [crop(record["height"], record["width"], draw)]
        frames, reason = _frames_or_reason(record["shard"], record["offset"], indices, *window)
        told = {name: record[name] for name in ("label", "index", "path")}
        return {"frames": frames, **told, "reason": reason}

    dataset = order.counts().map(
        read,
        num_parallel_calls=num_parallel_calls or tf.data.AUTOTUNE,
        deterministic=deterministic,
    )
    options = tf.data.Options()
    # Records are divided, not files: a part that reads all files reads each record but once.
    policy = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = policy.OFF if shard[1] > 1 else policy.DATA
    # What tf.data takes for state here, because it reads files, keeps nothing between elements.
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    return dataset.with_options(options)


def _records_from(shard: Any, offset: Any) -> tf.data.Dataset:
    """The record at an offset, as a data set of one element."""
    import tensorflow as tf

    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.reshape(shard, [1]),
        compression_type="",
        buffer_size=BUFFER_BYTES,
        byte_offsets=tf.reshape(tf.cast(offset, tf.int64), [1]),
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec((), tf.string)).take(1)


def _frames_or_reason(
    shard: tf.Tensor, offset: tf.Tensor, indices: tf.Tensor, *window: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames, or why there are none: only tf.data goes on after an op that fails."""
    import tensorflow as tf

    reason = tf.strings.join(
        [
            "The record at byte ",
            tf.strings.as_string(offset),
            " of '",
            shard,
            "' is damaged, or the file is missing or cut short. Copy it again, or pack again with "
            "the same list and options, which replaces damaged files alone.",
        ]
    )
    inputs = tf.data.Dataset.from_tensors((shard, offset, indices, *window))
    fine = inputs.map(lambda *values: (decode_packed_frames(*values), ""))
    failed = tf.data.Dataset.from_tensors((tf.zeros((0, 0, 0, 3), tf.uint8), reason))
    return fine.ignore_errors().concatenate(failed).take(1).get_single_element()


def _check_readable(records: PackedRecordList, shard: tuple[int, int]) -> None:
    if not len(records):
        raise ValueError(
            f"There is nothing to read: no record of {records.packing.folder!r} is in the list."
        )
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            "`shard` is (index, count), with an index below the count of parts. "
            f"Received: shard={shard}"
        )
