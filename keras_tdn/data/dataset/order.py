"""The order of records, the seeds of what is drawn from them, and where each batch ended."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.stateless_draws import array_module, cast, draw_below
from keras_tdn.specs import check_integer

# Far enough for an endless data set, with room for the sums that tf.data computes.
ENDLESS = 2**62


@dataclasses.dataclass(frozen=True)
class RecordOrder:
    """The order of records over the epochs: a function of the seed and of a count.

    A count alone says which record comes next in which epoch, so a checkpoint needs to keep
    nothing else, and an epoch can be started anywhere. The fields are those of `DatasetOptions`.
    """

    num_records: int
    seed: int
    shuffle: bool
    start: int
    repeat: bool
    shard: tuple[int, int]

    @property
    def _counts(self) -> range:
        index, count = self.shard
        end_of_epoch = (self.start // self.num_records + 1) * self.num_records
        return range(self.start + index, ENDLESS if self.repeat else end_of_epoch, count)

    @property
    def num_reachable(self) -> int:
        """How many records the data set ever reaches."""
        return min(self.num_records, len(self._counts))

    def counts(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(self._counts.start, self._counts.stop, self._counts.step)

    def place(self, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns a count's row and epoch, and how many of the shard's records come up to it."""
        epoch, row = count // self.num_records, count % self.num_records
        if self.shuffle:
            seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
            last = tf.constant(self.num_records - 1, tf.int64)
            row = tf.random.experimental.index_shuffle(row, seed, last)
        return row, epoch, (count - self._counts.start) // self.shard[1] + 1


def record_seed(seed: int, epoch: Any, index: Any) -> Any:
    """Returns the seed of everything that is drawn from one record in one epoch: a pair of int32.

    Use it to draw the clip of a training step again. `seed` is the data set's, an integer; the
    epoch and the record's `index` are integers or tensors.

    Example:

    >>> sampler = SegmentSampler(num_segments=8, mode="random")
    >>> indices = sampler(num_frames, seed=record_seed(0, epoch=3, index=record.index))
    """
    ops = array_module(epoch, index)
    pair = [seed, epoch] if ops is np else ops.stack([ops.constant(seed, "int64"), epoch])
    of_epoch = draw_below(ops, 2**31 - 1, pair, (1,))[0]
    return ops.stack([cast(ops, of_epoch, "int32"), cast(ops, index, "int32")])


# Batches that are remembered. A pipeline is ahead of the training by a few.
MAX_REMEMBERED = 4096


class BatchPositions:
    """Counts the records of a data set that came before each of its batches.

    Use it to start a training in the middle of an epoch: as bad records are left out and batches
    stay full, the number of batches does not say where a data set stands. Use one object for one
    data set at a time; `make_dataset` fills it while it makes batches, ahead of the training, and
    sets `label_spec`, which describes the labels of a batch.

    Args:
        max_remembered: Latest batches whose place is kept, more than the pipeline makes in advance.

    Example:

    >>> positions = BatchPositions()
    >>> dataset = make_dataset(records, spec, training=True, batch_size=8, positions=positions)
    >>> first = next(iter(dataset))
    >>> same_as_second = make_dataset(
    ...     records, spec, training=True, batch_size=8, start=positions.after(1)
    ... )
    """

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        check_integer("BatchPositions'", "max_remembered", max_remembered, 1)
        self.max_remembered = max_remembered
        self.label_spec: Any = None
        # tf.data calls from threads of its own.
        self._lock = threading.Lock()
        self._start = 0
        self._next: dict[int, tuple[int, float]] = {}

    def after(self, num_batches: int) -> int:
        """Returns the `start` of a data set that continues after so many batches of this one.

        A `ValueError` says that so many have not been made yet, or that it is too long ago.
        """
        with self._lock:
            if num_batches == 0:
                return self._start
            if num_batches - 1 in self._next:
                return self._next[num_batches - 1][0]
            known = f"{min(self._next)} to {max(self._next)}" if self._next else "none"
        raise ValueError(
            f"The place behind {num_batches} batches is not known; batches that are remembered: "
            f"{known}. Is the data set that is iterated over the one that was made with these "
            f"positions? {self.max_remembered} batches are remembered at most."
        )

    def made_at(self, batch: int) -> float | None:
        """Returns when a batch was ready, in seconds of `time.perf_counter`; `None` if unknown."""
        with self._lock:
            entry = self._next.get(batch)
        return None if entry is None else entry[1]

    def begin(self, start: int, label_spec: Any) -> None:
        """Forgets all batches when a new data set starts, after so many records."""
        with self._lock:
            self._start = start
            self._next.clear()
            self.label_spec = label_spec

    def note(self, batch: int, start_of_next: int) -> None:
        """Notes a batch that is ready, by number: `fit` may begin to iterate more than once."""
        with self._lock:
            self._next[batch] = (start_of_next, time.perf_counter())
            while len(self._next) > self.max_remembered:
                del self._next[min(self._next)]


def noting_positions(
    dataset: tf.data.Dataset, positions: BatchPositions, order: RecordOrder
) -> tf.data.Dataset:
    """Takes the count of the last record off `(clips, labels, count)`, and notes it."""
    index, num_shards = order.shard

    def note(batch: Any, count: Any, labels: Any) -> Any:
        # For every shard the same at the same round, whichever its own records are.
        positions.note(int(batch), int(count) - index + num_shards)
        return labels

    def noted(batch: tf.Tensor, element: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        clips, labels, count = element
        # Said to be stateless, as iterators that can be saved need; see the notes on failures. The
        # labels go through it because what nothing comes out of is optimised away then.
        through = tf.numpy_function(note, [batch, count, labels], labels.dtype, stateful=False)
        return clips, tf.ensure_shape(through, labels.shape)

    positions.begin(order.start, dataset.element_spec[1])
    return dataset.enumerate().map(noted)
