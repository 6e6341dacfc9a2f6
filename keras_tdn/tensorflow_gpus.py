"""Keeping TensorFlow, where it prepares input alone, from the memory of GPUs."""

from __future__ import annotations

import contextlib
import importlib.util

import keras


def leave_gpus_to_backend() -> None:
    """Keeps TensorFlow off the GPUs unless Keras runs on it; before it reads or draws anything."""
    if keras.backend.backend() != "tensorflow":
        keep_tensorflow_off_gpus()


def keep_tensorflow_off_gpus() -> None:
    """Has TensorFlow make the clips on CPUs, and leave the GPUs to another backend.

    TensorFlow takes all of their memory for itself when it first computes anything, which with JAX
    or PyTorch is input alone. `device_scope`, `make_dataset` and `evaluate` do this. It is too
    late, and does nothing, when TensorFlow has computed something already.
    """
    if importlib.util.find_spec("tensorflow") is None:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
