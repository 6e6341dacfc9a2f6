"""Keras weights files that are the same bytes whenever and wherever equal weights are written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

# See `weights_file`.
RANDOM_STATE = "seed_generator"


def write_weights_file(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes what `model.save_weights` does, as bytes that depend on the weights alone.

    Keras' own file keeps the state of random numbers, which differs between two models of equal
    weights; here it is zero. Times and orders of creation are left out, and so is the state of a
    compiled model's optimizer.

    Args:
        model: A built Keras model.
        path: Where to write, ending in `.weights.h5`.

    Raises:
        OSError: if it cannot be written.
    """
    original = _InMemory()
    keras.saving.save_weights(model, original, objects_to_skip=[getattr(model, "optimizer", None)])
    # In memory as well, and without a file beside it.
    how = {"driver": "core", "backing_store": False, "track_order": False}
    with h5py.File(original, "r") as source, h5py.File("memory", "w", **how) as target:
        _copy(source, target)
        target.flush()
        content = target.id.get_file_image()
    Path(path).write_bytes(content)


class _InMemory(io.BytesIO):
    """What Keras takes for a file: HDF5 has crashed the process on a disk that is full."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def _copy(source: Any, target: Any) -> None:
    _copy_attributes(source, target)
    for name in sorted(source):
        child = source[name]
        if isinstance(child, h5py.Group):
            _copy(child, target.create_group(name, track_order=False))
            continue
        array = child[()]
        if RANDOM_STATE in child.name:
            # Its type is the backend's, too.
            array = np.zeros(array.shape, np.uint32)
        dataset = target.create_dataset(name, data=array, track_times=False, track_order=False)
        _copy_attributes(child, dataset)


def _copy_attributes(source: Any, target: Any) -> None:
    for name in sorted(source.attrs):
        target.attrs[name] = source.attrs[name]
