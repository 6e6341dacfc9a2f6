"""Training on several devices of one machine, and on several machines."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_tdn import gpus
from keras_tdn.choices import AUTO
from keras_tdn.gpus import keep_tensorflow_off_gpus as keep_tensorflow_off_gpus

# Keras' own variable; its others are KERAS_DISTRIBUTION_JOB_ADDRESSES and _PROCESS_ID.
NUM_PROCESSES_VARIABLE = "KERAS_DISTRIBUTION_NUM_PROCESSES"
# Device types of Keras that are worth taking all of unasked.
ACCELERATORS = ("gpu", "tpu")
HOW_PROCESSES_ARE_NAMED = (
    "Pass the address of the first process, the number of processes and this one's number to "
    "`join_processes`, or set KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES "
    "and KERAS_DISTRIBUTION_PROCESS_ID."
)


@dataclasses.dataclass(frozen=True)
class Devices:
    """What a model is trained on; gives each process its part of the data.

    Args:
        num_devices: Devices of all processes together.
        num_processes: Processes that train the model together.
        process_index: Number of this process, from 0.
        whole_batches: Whether all batches must have one size, also in validation, because arrays
            are cut into equal parts.

    Example:

    >>> devices = Devices(num_devices=4, num_processes=2, process_index=1)
    >>> devices.batch_size(64), devices.shard
    (32, (1, 2))
    """

    num_devices: int = 1
    num_processes: int = 1
    process_index: int = 0
    whole_batches: bool = False

    @property
    def shard(self) -> tuple[int, int]:
        """The part of the records that this process reads: `make_dataset`'s `shard`."""
        return self.process_index, self.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes logs and checkpoints."""
        return self.process_index == 0

    def batch_size(self, batch_size: int) -> int:
        """Returns how many clips of a batch of all devices, which divide it, this process reads."""
        if batch_size % self.num_devices:
            nearest = max(1, batch_size // self.num_devices) * self.num_devices
            raise ValueError(
                f"A batch is divided among {self.num_devices} devices, each of which gets as many "
                f"clips. Received: batch_size={batch_size}. Use {nearest} or another multiple."
            )
        return batch_size // self.num_processes


@contextlib.contextmanager
def device_scope(devices: int | str = AUTO) -> Iterator[Devices]:
    """Has a model trained on several devices, each with its part of every batch.

    Use it around building, `compile`, `fit` and saving. It is the scope of a
    `tf.distribute.MirroredStrategy` or, on JAX, of `keras.distribution.DataParallel` over the
    devices of all processes; on one device it is nothing at all.

    Args:
        devices: `"auto"` for all GPUs (or TPUs) that there are, or the number of devices. Without
            GPUs these are CPUs, of which there is one unless you configured more.

    Yields:
        `Devices`: how many there are, and which records this process reads.

    Raises:
        ValueError: if devices are missing, the backend trains on one, or processes cannot join.

    Example:

    >>> with device_scope() as devices:
    ...     model = keras_tdn.TDNResNet50(weights="imagenet", classes=records.num_classes)
    ...     recipe.compile(model, steps)
    ...     part = {"batch_size": devices.batch_size(recipe.batch_size), "shard": devices.shard}
    ...     train = recipe.make_dataset(records, model.clip_spec, training=True, **part)
    ...     model.fit(train, epochs=recipe.epochs, steps_per_epoch=steps)
    """
    if devices != AUTO and (type(devices) is not int or devices < 1):
        raise ValueError(f'`devices` is "{AUTO}" or a positive number. Received: {devices!r}')
    backend = keras.backend.backend()
    gpus.leave_gpus_to_backend()
    if backend not in ("tensorflow", "jax"):
        if devices not in (AUTO, 1):
            raise ValueError(
                f"Keras has no training on several devices with the {backend} backend. Set "
                "KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax, or use one device. "
                f"Received: devices={devices}"
            )
        yield Devices()
        return
    if os.environ.get(NUM_PROCESSES_VARIABLE, "1") != "1" and num_joined_processes() == 1:
        join_processes()
    num_processes, process_index = 1, 0
    if backend == "jax":
        import jax

        num_processes, process_index = jax.process_count(), jax.process_index()
    names = _chosen_devices(devices, num_processes)
    if len(names) == 1:
        yield Devices()
    elif backend == "tensorflow":
        with _mirrored_strategy(tuple(names)).scope():
            yield Devices(len(names))
    else:
        # Each process reads its own records, so there is nothing left to be divided.
        distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        with distribution.scope():
            yield Devices(len(names), num_processes, process_index, whole_batches=True)


def join_processes(
    address: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins this process to others that train one model together, on the JAX backend.

    Use it before anything is computed, and then `device_scope`, which does it by itself if Keras'
    environment variables are set. Every process runs the same program. `None` takes the variable
    `KERAS_DISTRIBUTION_JOB_ADDRESSES`, `..._NUM_PROCESSES` or `..._PROCESS_ID`.

    Args:
        address: `host:port` of the first process.
        num_processes: Number of processes.
        process_id: Number of this one, from 0.

    Raises:
        ValueError: if the backend is not JAX, something has been computed already, the others do
            not come, or no number of processes is given.

    Example:

    >>> join_processes("10.0.0.1:1234", num_processes=2, process_id=0)
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Several processes train together on the JAX backend only: set KERAS_BACKEND=jax. "
            "Keras' own training loop fails under TensorFlow's MultiWorkerMirroredStrategy. "
            f"Received: backend {keras.backend.backend()}"
        )
    # Keras would take it from there as well, but not say what is missing.
    if num_processes is None and not os.environ.get(NUM_PROCESSES_VARIABLE):
        raise ValueError(f"How many processes there are is not known. {HOW_PROCESSES_ARE_NAMED}")
    try:
        keras.distribution.initialize(address, num_processes, process_id)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"This process could not be joined to the others: {error} {HOW_PROCESSES_ARE_NAMED} "
            "That comes first in the program, before a model is built or a seed is drawn."
        ) from error


def num_replicas() -> int:
    """Copies of the model that TensorFlow trains side by side; 1 on other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def devices_of_an_array() -> int:
    """Devices that a batch is divided among as one array: more than 1 on JAX alone."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def num_joined_processes() -> int:
    """Processes that have joined each other to train together; 1 on other backends than JAX."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count() if jax.distributed.is_initialized() else 1


def _chosen_devices(devices: int | str, num_processes: int) -> list[str]:
    names = keras.distribution.list_devices()
    if num_processes > 1 and devices not in (AUTO, len(names)):
        raise ValueError(
            f"{num_processes} processes train on all of their devices, {len(names)} together. "
            f'Pass "{AUTO}". Received: devices={devices}'
        )
    if devices == AUTO:
        return names if num_processes > 1 or names[0].startswith(ACCELERATORS) else names[:1]
    if int(devices) > len(names):
        listed = ", ".join(names)
        raise ValueError(f"There are not so many devices: {listed}. Received: devices={devices}")
    return names[: int(devices)]


@functools.cache
def _mirrored_strategy(names: tuple[str, ...]) -> Any:
    import tensorflow as tf

    # One in a process: the collective operations of a second one would have the numbers of the
    # first's, and end with "Shape mismatch in the collective instance".
    return tf.distribute.MirroredStrategy(names)
