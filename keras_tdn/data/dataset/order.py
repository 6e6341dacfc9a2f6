"""Which record comes when, and the seed of what is drawn from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.stateless_draws import array_module, cast, draw_below

# Far enough for an endless data set, with room for the sums that tf.data computes.
ENDLESS = 2**62


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one element of a data set stands; all scalar int64 tensors.

    Args:
        row: Number of the record in its list.
        epoch: Number of the epoch.
        num_seen: Records that this data set has come to since it started, this one included.
    """

    row: Any
    epoch: Any
    num_seen: Any


@dataclasses.dataclass(frozen=True)
class RecordOrder:
    """The order of records over the epochs: a function of the seed and of a count.

    A count alone tells which record comes next in which epoch, so that a checkpoint needs to keep
    nothing else, and an epoch can be started anywhere.

    Args:
        num_records: Records in the list.
        seed: What the order is drawn from.
        shuffle: Whether each epoch has an order of its own, or all that of the list.
        start: Records, of all shards together, that come before the first.
        repeat: Whether epoch follows upon epoch without end.
        shard: `(index, count)`: every `count`-th record is taken, starting with the `index`-th.
    """

    num_records: int
    seed: int
    shuffle: bool
    start: int
    repeat: bool
    shard: tuple[int, int]

    @property
    def num_reachable(self) -> int:
        """Records that turn up sooner or later."""
        index, count = self.shard
        if self.repeat:
            return self.num_records
        return len(range(self.start % self.num_records + index, self.num_records, count))

    def counts(self) -> tf.data.Dataset:
        """The counts that `place` turns into places."""
        index, count = self.shard
        end_of_epoch = (self.start // self.num_records + 1) * self.num_records
        stop = ENDLESS if self.repeat else end_of_epoch
        return tf.data.Dataset.range(self.start + index, stop, count)

    def place(self, count: tf.Tensor) -> Place:
        """What comes at that count."""
        epoch, row = count // self.num_records, count % self.num_records
        if self.shuffle:
            seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
            last = tf.constant(self.num_records - 1, tf.int64)
            row = tf.random.experimental.index_shuffle(row, seed, last)
        first = self.start + self.shard[0]
        return Place(row, epoch, (count - first) // self.shard[1] + 1)


def record_seed(seed: int, epoch: Any, index: Any) -> Any:
    """The seed of everything that is drawn from one record in one epoch.

    Use it to draw the clip of a training step again. It depends on nothing but its arguments:
    neither on the order of the records, nor on which process reads them, nor on the others.

    Args:
        seed: Seed of the data set, an integer.
        epoch: Number of the epoch, an integer or a scalar integer tensor.
        index: The record's `index`, the same.

    Returns:
        A pair of integers, int32 of shape `(2,)`: an array, or a tensor if one was given.

    Example:

    >>> sampler = SegmentSampler(num_segments=8, mode="random")
    >>> indices = sampler(num_frames, seed=record_seed(0, epoch=3, index=record.index))
    """
    ops = array_module(epoch, index)
    pair = [seed, epoch] if ops is np else ops.stack([ops.constant(seed, "int64"), epoch])
    of_epoch = draw_below(ops, 2**31 - 1, pair, (1,))[0]
    return ops.stack([cast(ops, of_epoch, "int32"), cast(ops, index, "int32")])
