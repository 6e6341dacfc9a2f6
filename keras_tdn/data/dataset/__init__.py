"""Batches of clips and labels out of records."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset.clip_sources import ClipSteps, clip_source
from keras_tdn.data.dataset.order import BatchPositions, RecordOrder, noting_positions, record_seed
from keras_tdn.data.decoding import Decoder
from keras_tdn.data.failures import Failure, FailureLog
from keras_tdn.data.flip_maps import flip_map
from keras_tdn.data.records import RecordList
from keras_tdn.data.records.labelled import check_labelled
from keras_tdn.data.records.record import check_indices
from keras_tdn.data.segment_sampling import SamplingMode, SegmentSampler
from keras_tdn.data.transforms.pipelines import test_transforms, train_transforms
from keras_tdn.gpus import leave_gpus_to_backend
from keras_tdn.specs import ClipSpec, check_integer

# Batches that are ready while the model works on one. More would only take memory: a batch of 8
# clips of 40 frames of 224 x 224 pixels takes 48 MB.
PREFETCHED_BATCHES = 2


@dataclasses.dataclass(frozen=True)
class DatasetOptions:
    """How `make_dataset` makes batches: their order, their clips, and what bad records mean.

    Args:
        training: Whether to draw random clips and crops, shuffled and endless, or centre clips and
            centre crops in the order of the list, once. Each can be set separately.
        batch_size: Clips in a batch.
        sampler: Chooses frames: called with the number of frames and a seed. By default a
            `SegmentSampler` for the spec, in mode `"random"` or `"center"`.
        transforms: Called with `((clip, label), seed)`. By default `train_transforms`, with a flip
            map if the labels' names have one, or `test_transforms`.
        batch_transforms: Called with `((clips, labels), seed)`, as `MixUp`, which needs `one_hot`.
        one_hot: Whether labels are weights per class, float32, instead of class indices.
        num_classes: Classes of one-hot labels; by default those of the records, of which a short
            list may have fewer than the model.
        seed: Start of all that is random.
        shuffle: Whether the order is random; by default when training.
        epoch: Number of the first epoch.
        start: Records, of all shards together and counted from epoch 0, that come before the first,
            instead of `epoch`: what `BatchPositions.after` returns.
        positions: Notes where each batch ends.
        repeat: Whether epochs follow each other without end; by default when training.
        shard: `(index, count)`: this data set is one part of `count`, with no record in common.
        drop_remainder: Whether a last, smaller batch is left out; by default when training.
        num_parallel_calls: Clips made side by side; `None` lets tf.data choose. Each takes the
            memory of its decoded frames, 10 MB for 40 frames of 340 x 256 pixels.
        deterministic: Whether batches keep their order even if a clip is late.
        decoder: Name of the decoder of video files, or the decoder itself.
        failure_report: Path of the list of bad records.
        max_failure_share: Share of bad records that is an error, from 0 to 1; `None` counts none.
    """

    training: bool
    batch_size: int = 1
    sampler: Any = None
    transforms: Any = None
    batch_transforms: Any = None
    one_hot: bool = False
    num_classes: int | None = None
    seed: int = 0
    shuffle: bool | None = None
    epoch: int = 0
    start: int | None = None
    positions: BatchPositions | None = None
    repeat: bool | None = None
    shard: tuple[int, int] = (0, 1)
    drop_remainder: bool | None = None
    num_parallel_calls: int | None = None
    deterministic: bool = True
    decoder: str | Decoder = "pyav"
    failure_report: str | os.PathLike[str] | None = None
    max_failure_share: float | None = 0.1

    def __post_init__(self) -> None:
        for field, least in (("batch_size", 1), ("epoch", 0), ("seed", -(2**63))):
            check_integer("make_dataset's", field, getattr(self, field), least)
        for field, least in (("start", 0), ("num_parallel_calls", 1), ("num_classes", 1)):
            if getattr(self, field) is not None:
                check_integer("make_dataset's", field, getattr(self, field), least)
        if self.start is not None and self.epoch:
            raise ValueError(
                "`start` says where to begin, and so does `epoch`. Pass one of them. Received: "
                f"start={self.start}, epoch={self.epoch}"
            )
        if self.max_failure_share is None and self.failure_report is not None:
            raise ValueError(
                "With `max_failure_share=None` failures are not counted, so there is no report of "
                "them either. Pass a share, or leave `failure_report` out. Received: "
                f"failure_report={os.fspath(self.failure_report)!r}"
            )

    def order(self, num_records: int) -> RecordOrder:
        """Returns the order of the records; a `ValueError` if there are too few for the shard."""
        shard = self.shard
        is_pair = isinstance(shard, tuple | list) and len(shard) == 2
        are_integers = is_pair and all(isinstance(number, int) for number in shard)
        if not are_integers or not 0 <= shard[0] < shard[1] <= num_records:
            raise ValueError(
                "make_dataset's `shard` is (index, count): which part of how many, with at least "
                f"a record in each of the {num_records}. Received: shard={shard!r}"
            )
        return RecordOrder(
            num_records,
            self.seed,
            self.training if self.shuffle is None else self.shuffle,
            self.epoch * num_records if self.start is None else self.start,
            self.training if self.repeat is None else self.repeat,
            shard,
        )

    def steps(self, records: RecordList, spec: ClipSpec) -> ClipSteps:
        """Returns how frames become a clip; checks the records, the spec and the sampler."""
        check_labelled("make_dataset", records, self.num_classes)
        check_indices(records)
        if not isinstance(spec, ClipSpec):
            raise ValueError(
                "make_dataset takes a ClipSpec as `spec`, for example ClipSpec(num_segments=8). "
                f"Received: spec={spec!r}"
            )
        for field in ("num_segments", "frames_per_segment"):
            wanted, given = getattr(spec, field), getattr(self.sampler, field, None)
            if given is not None and given != wanted:
                raise ValueError(
                    f"The sampler's clips are not those of the spec: it has {field}={given}, and "
                    f"the spec has {wanted}. Make both alike."
                )
        sampler, transforms = self.sampler, self.transforms
        if sampler is None:
            mode: SamplingMode = "random" if self.training else "center"
            sampler = SegmentSampler(spec.num_segments, spec.frames_per_segment, mode)
        if transforms is None and not self.training:
            transforms = test_transforms(spec)
        elif transforms is None:
            classes = [] if records.labels is None else flip_map(records.labels).tolist()
            mirrored = classes != list(range(len(classes)))
            transforms = train_transforms(spec, classes if mirrored else None)
        return ClipSteps(sampler, transforms, spec.num_frames)


def make_dataset(
    records: RecordList, spec: ClipSpec, *, training: bool, batch_size: int, **options: Any
) -> tf.data.Dataset:
    """Makes batches of clips and labels, ready for `model.fit`, `evaluate` and `predict`.

    Use it on every Keras backend. Records may be video files, folders of JPEG frames or packed
    records, which give the same frame indices and the same draws. Only the frames of the clip are
    decoded, and of JPEG frames only the window that a random crop keeps.

    **Epochs.** A training data set is endless: epochs follow each other inside the graph, each with
    its own order and its own draws. So tell `fit` how long an epoch is, or the first never ends:

    ```python
    train = make_dataset(records, spec, training=True, batch_size=8)
    model.fit(train, epochs=50, steps_per_epoch=len(records) // 8)
    ```

    Other data sets have one epoch, the same each time. To continue training in another process,
    pass the `epoch` to start with, or, in the middle of an epoch, the `start` that `positions` gave
    after so many batches. Or restore the iterator from a `tf.train.Checkpoint` (a kilobyte).

    What is drawn from a record depends on the seed, the epoch and the record's `index` alone
    (`order.record_seed`). With `deterministic=True` the batches are the same whatever the
    parallelism, and a restored iterator gives the very batches that were to come.

    **Bad records** are skipped, and batches stay full. Each is logged and listed once in
    `failure_report`, JSON lines of `path`, `index` and `reason`; a video file that failed is not
    tried again. When their share passes `max_failure_share`, iterating raises an error.

    **Several machines or processes** each pass their own `shard`, or use `from_service`;
    `strategy.experimental_distribute_dataset` leaves the files alone.

    Args:
        records: Records with labels, from `load_records` or `load_packed`.
        spec: The clip that the model takes.
        training, batch_size, **options: Fields of `keras_tdn.data.dataset.DatasetOptions`.

    Returns:
        A `tf.data.Dataset` of `(clips, labels)`: uint8 pixels in [0, 255] of shape `(batch_size,
        num_frames, height, width, 3)`, and int32 of shape `(batch_size,)`, or float32 of shape
        `(batch_size, num_classes)`.

    Raises:
        ValueError: if an argument is invalid, a record has no label, or two have one `index`.

    Example:

    >>> records = load_records("validate.txt")
    >>> dataset = make_dataset(records, ClipSpec(), training=False, batch_size=4)
    >>> clips, labels = next(iter(dataset))
    >>> clips.shape, labels.shape
    (TensorShape([4, 40, 224, 224, 3]), TensorShape([4]))
    """
    leave_gpus_to_backend()
    chosen = DatasetOptions(training, batch_size, **options)
    steps, order = chosen.steps(records, spec), chosen.order(len(records))
    failures, share = None, chosen.max_failure_share
    if share is not None:
        failures = FailureLog(order.num_reachable, share, chosen.failure_report)
    source = clip_source(records, steps, chosen.decoder, failures)
    fields = {name: tf.constant(values) for name, values in source.fields.items()}
    record_labels = tf.constant([record.label for record in records], tf.int32)
    record_indices = tf.constant([record.index for record in records], tf.int64)
    num_classes = chosen.num_classes or records.num_classes

    def read(count: tf.Tensor) -> tuple[tf.Tensor, ...]:
        row, epoch, num_seen = order.place(count)
        record = {name: tf.gather(values, row) for name, values in fields.items()}
        draw = record_seed(chosen.seed, epoch, tf.gather(record_indices, row))
        clip, label, reason = source.read(record, tf.gather(record_labels, row), draw)
        if chosen.one_hot and label.shape.rank == 0:
            label = tf.one_hot(label, num_classes)
        return clip, label, draw, count, reason, row, num_seen

    def is_good(*element: tf.Tensor) -> tf.Tensor:
        *_, reason, row, num_seen = element
        noted = functools.partial(_take_note, records, failures, row, num_seen, reason)
        return tf.cond(tf.equal(reason, ""), lambda: True, noted)

    def finish(clips: Any, labels: Any, draws: Any, counts: Any) -> tuple[Any, ...]:
        if chosen.batch_transforms is not None:
            clips, labels = chosen.batch_transforms((clips, labels), draws[0])
        return (clips, labels) if chosen.positions is None else (clips, labels, counts[-1])

    dataset = order.counts().map(
        read,
        num_parallel_calls=chosen.num_parallel_calls or tf.data.AUTOTUNE,
        deterministic=chosen.deterministic,
    )
    dataset = dataset.filter(is_good).map(lambda *element: element[:4])
    drop_remainder = training if chosen.drop_remainder is None else chosen.drop_remainder
    dataset = dataset.batch(batch_size, drop_remainder).map(finish)
    if chosen.positions is not None:
        dataset = noting_positions(dataset, chosen.positions, order)
    dataset = dataset.prefetch(PREFETCHED_BATCHES)
    return dataset.with_options(_options(chosen.deterministic, order.shard))


def _take_note(
    records: RecordList, failures: FailureLog | None, row: Any, num_seen: Any, reason: Any
) -> tf.Tensor:
    if failures is None:
        # Ops alone: this graph may run where this process' Python does not.
        line = tf.strings.join(["Skipped record ", tf.strings.as_string(row), ": ", reason])
        with tf.control_dependencies([tf.print(line)]):
            return tf.constant(False)

    def note(row: Any, num_seen: Any, reason: Any) -> np.bool_:
        record = records[int(row)]
        text = os.fsdecode(np.asarray(reason).item())
        failures.add(Failure(record.path, record.index, text), int(num_seen))
        return np.bool_(False)

    # Said to be stateless, so that iterators can be saved: the notes are not part of their state.
    good = tf.numpy_function(note, [row, num_seen, reason], tf.bool, stateful=False)
    return tf.ensure_shape(good, [])


def _options(deterministic: bool, shard: tuple[int, int]) -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = deterministic
    # A checkpoint keeps the place alone, a kilobyte, instead of all batches that are ready.
    options.experimental_symbolic_checkpoint = True
    # There are no files that tf.data could hand out; elements are all that it can divide.
    policy = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = policy.OFF if shard[1] > 1 else policy.DATA
    return options
