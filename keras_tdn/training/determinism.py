"""The same bits in each run, where that costs time."""

from __future__ import annotations

import keras


def make_deterministic(seed: int) -> None:
    """Makes operations of this process give the same bits each time, also on a GPU.

    On CPUs they do so anyway. It cannot be undone.

    Args:
        seed: Seed of Python, NumPy and the backend.

    Raises:
        ValueError: on JAX, where it is a matter of the environment.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        raise ValueError(
            "On JAX, operations on a GPU are made deterministic by the environment variable "
            "XLA_FLAGS=--xla_gpu_deterministic_ops=true, before the process starts. Leave "
            "`deterministic` out."
        )
    keras.utils.set_random_seed(seed % 2**32)
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
