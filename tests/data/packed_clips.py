"""Clips of packed records one by one, through what `make_dataset` reads them with."""

import os

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset.clip_sources import ClipSteps, clip_source
from keras_tdn.data.dataset.order import RecordOrder, record_seed


class Window:
    """A transform that is a crop alone."""

    crops_first = True

    def __init__(self, box):
        self.box = box

    def finish(self, inputs, seed):
        return inputs


def packed_clips(
    records, sampler, *, crop=None, seed=0, epoch=0, shuffle=False, shard=(0, 1), parallel=None
):
    """One epoch: dicts of `frames`, `label`, `index`, `path` and `reason`, empty if all is well."""
    num_frames = np.size(sampler(100, (0, 0)))
    transforms = (lambda inputs, seed: inputs) if crop is None else Window(crop)
    source = clip_source(records, ClipSteps(sampler, transforms, num_frames), "pyav", None)
    order = RecordOrder(len(records), seed, shuffle, epoch * len(records), False, shard)
    fields = {name: tf.constant(values) for name, values in source.fields.items()}
    labels = tf.constant([-1 if record.label is None else record.label for record in records])
    indices = tf.constant([record.index for record in records], tf.int64)
    paths = tf.constant([os.fsencode(record.path) for record in records])

    def read(count):
        row, epoch, _ = order.place(count)
        record = {name: tf.gather(values, row) for name, values in fields.items()}
        index = tf.gather(indices, row)
        draw = record_seed(seed, epoch, index)
        frames, label, reason = source.read(record, tf.gather(labels, row), draw)
        path = tf.gather(paths, row)
        return {"frames": frames, "label": label, "index": index, "path": path, "reason": reason}

    options = tf.data.Options()
    # As `make_dataset` does, so that an iterator can be saved.
    options.experimental_symbolic_checkpoint = True
    clips = order.counts().map(read, num_parallel_calls=parallel, deterministic=True)
    return clips.with_options(options)
