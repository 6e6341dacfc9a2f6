"""Keras weights files that are the same bytes whenever and wherever equal weights are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# See `weights_file`.
RANDOM_STATE = "seed_generator"
# A compiled model's, which `save_weights` puts beside the layers: as large as the weights, or more.
OPTIMIZER = "optimizer"


def write_weights_file(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes what `model.save_weights` does, as bytes that depend on the weights alone.

    Keras' own file keeps the state of random numbers, which differs between two models of equal
    weights; here it is zero. Times and orders of creation are left out, and so is the state of a
    compiled model's optimizer.

    Args:
        model: A built Keras model.
        path: Where to write, ending in `.weights.h5`.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        original = Path(folder) / "original.weights.h5"
        model.save_weights(original)
        with h5py.File(original, "r") as source, h5py.File(path, "w", track_order=False) as target:
            _copy(source, target, without=OPTIMIZER)


def _copy(source: Any, target: Any, without: str | None = None) -> None:
    _copy_attributes(source, target)
    for name in sorted(source):
        if name == without:
            continue
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
