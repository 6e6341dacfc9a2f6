"""Clips that other machines decode: `tf.data` service."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_tdn.data.dataset import PREFETCHED_BATCHES
from keras_tdn.data.transforms.transform import operations_in

PROTOCOL = "grpc"
# What calls the Python of the process that made the data set.
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def from_service(dataset: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """Makes a data set's batches in the workers of a `tf.data` service.

    Use it when the machine with the accelerator cannot decode as fast as it trains. The workers
    need TensorFlow in the same version and the same paths to the records, but not this package.
    Packed records and folders of frames can be served. Video files, which this process' Python
    decodes, cannot: pack them.

    Each record goes to one worker, and is drawn as it would be here: the clips of an epoch are the
    same, and with one worker they come in the same order. With several, batches come as they are
    ready, each of records that went to the same worker. If a worker dies in the middle of an epoch,
    what it was working on is lost for that epoch.

    Args:
        dataset: From `make_dataset` with `max_failure_share=None` and without `positions`, because
            notes are taken in this process.
        address: `host:port` of the service's dispatcher.

    Raises:
        ValueError: if the data set calls Python, or the address is none.

    Example:

    >>> records = load_packed("packed")
    >>> dataset = make_dataset(
    ...     records, spec, training=True, batch_size=8, max_failure_share=None
    ... )
    >>> model.fit(from_service(dataset, "10.0.0.5:5050"), epochs=50, steps_per_epoch=1000)
    """
    address = str(address).removeprefix(f"{PROTOCOL}://")
    if not address.rpartition(":")[2].isdecimal():
        raise ValueError(
            "The address of a tf.data service is that of its dispatcher, host:port. "
            f"Received: address={address!r}"
        )
    variant: Any = tf.data.experimental.to_variant(dataset)
    graph = tf.compat.v1.GraphDef.FromString(
        tf.raw_ops.DatasetToGraphV2(input_dataset=variant).numpy()
    )
    if operations_in(graph) & PYTHON_OPS:
        raise ValueError(
            "This data set calls the Python of this process, which no worker can do. Video files "
            "are decoded that way: turn them into packed records with `keras-tdn pack`, and read "
            "those. Notes on bad records and on positions are taken that way: pass "
            "max_failure_share=None and no `positions` to make_dataset."
        )
    service = tf.data.experimental.service
    served = dataset.apply(
        service.distribute(service.ShardingPolicy.DYNAMIC, f"{PROTOCOL}://{address}")
    )
    return served.prefetch(PREFETCHED_BATCHES)
