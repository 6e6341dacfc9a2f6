"""Keras weights files that are the same bytes whenever and wherever equal weights are written."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_tdn.choices import WEIGHTS_SUFFIX

# See `weights_file`.
RANDOM_STATE = "seed_generator"
# The attribute of the file that says what model the weights are for.
DESCRIPTION = "keras_tdn"


def write_weights_file(
    model: Any, path: str | os.PathLike[str], *, described: bool = False
) -> None:
    """Writes what `model.save_weights` does, as bytes that depend on the model alone.

    Keras' own file keeps the state of random numbers, which differs between two models of equal
    weights; here it is zero. Times and orders of creation are left out, and so is the state of a
    compiled model's optimizer.

    Args:
        model: A built Keras model.
        path: Where to write, ending in `.weights.h5`.
        described: Whether the file says what model it is for; see `describe`. The weights of a
            preset have its config beside them.

    Raises:
        OSError: if it cannot be written.
    """
    original = _InMemory()
    keras.saving.save_weights(model, original, objects_to_skip=[getattr(model, "optimizer", None)])
    # In memory as well, and without a file beside it.
    how = {"driver": "core", "backing_store": False, "track_order": False}
    with h5py.File(original, "r") as source, h5py.File("memory", "w", **how) as target:
        _copy(source, target)
        if described:
            describe(model, target)
        target.flush()
        content = target.id.get_file_image()
    Path(path).write_bytes(content)


def describe(model: Any, file: h5py.File) -> None:
    """Writes a model's arguments, labels and clip specification into the file of its weights.

    `read_description` reads them. Nothing is written for a model that these do not describe: one
    that is quantized, or no `TDNResNet`.
    """
    from keras_tdn.pretrained.preset_config import PresetConfig

    try:
        text = PresetConfig.of(model).to_json().decode()
    except ValueError:
        return
    file.attrs[DESCRIPTION] = text


@contextlib.contextmanager
def describing(model: Any, path: str | os.PathLike[str]) -> Iterator[None]:
    """Describes `model` in the `.weights.h5` file that the block writes."""
    before = _state(path)
    yield
    # Whoever is asked whether to replace a file may say no.
    if _state(path) not in (None, before):
        with h5py.File(path, "r+") as file:
            describe(model, file)


def _state(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    if not str(path).endswith(WEIGHTS_SUFFIX) or not os.path.isfile(path):
        return None
    state = os.stat(path)
    return state.st_ino, state.st_mtime_ns


class _InMemory(io.BytesIO):
    """What Keras takes for a file: HDF5 has crashed the process on a disk that is full."""

    def __str__(self) -> str:
        return f"memory{WEIGHTS_SUFFIX}"


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
