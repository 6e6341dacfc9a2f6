"""Keras' weights and model files: read whole or not at all, written as the same bytes each time."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.models import TDNResNet
from keras_tdn.models.predicting import warn_of_assumed_clips
from keras_tdn.pretrained import hdf5
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.state_dict import Shape, assign_checked, check_problems, misfits

# The attribute of the file that says what model the weights are for.
DESCRIPTION = "keras_tdn"
LAYERS = "layers"
VARIABLES = "vars"
BFLOAT16 = "bfloat16"
# Dropout keeps the state of its random numbers, which is none of the model's weights.
RANDOM_STATE = "seed_generator"
HEAD = "classifier/"
# What Keras writes; a damaged type description would have its numbers read as others.
FLOATS = tuple(np.dtype(kind) for kind in ("<f2", "<f4", "<f8"))
REGISTERED_NAME = "keras_tdn>TDNResNet"
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MAX_CONFIG_BYTES = 16 << 20
_DAMAGE = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, RuntimeError, zlib.error)


def load_weights_file(
    model: Any, file: hdf5.Hdf5Source, origin: str, *, free_head: bool = False
) -> tuple[str, ...]:
    """Fills a built Keras model from a `.weights.h5` file, or raises and leaves it unchanged.

    `origin` names the file in errors. With `free_head` a classifier that differs is left out, or
    left as it is. Returns the paths of the variables that were left as they are.
    """
    what = f"The weights of {origin}"
    with _open(file, origin) as content:
        places = places_of(content)
        shapes = {key: content.arrays[path] for key, path in places.items()}
        variables = _variables(model)
        skipped = _take_head_off(variables, shapes) if free_head else ()
        _check_fit(variables, shapes, what)
        values = {key: _read(content, places[key]) for key in variables}
    assign_checked(what, ((variable, key, values[key]) for key, variable in variables.items()))
    return skipped


def read_description(file: hdf5.Hdf5Source, origin: str) -> PresetConfig | None:
    """Returns what a `.weights.h5` file says about its model; `None` if nothing."""
    with _open(file, origin) as content:
        text = content.text("", DESCRIPTION)
        try:
            return None if text is None else PresetConfig.from_json(text.encode())
        except ValueError as error:
            raise hdf5.Hdf5Error(f"what it says of its model cannot be read: {error}") from error


def load_described_weights(path: str) -> TDNResNet | None:
    """Loads the model that a `.weights.h5` file says it is of; `None` if it does not say so."""
    if (config := read_description(path, repr(path))) is None:
        return None
    model = config.build(os.path.getsize(path))
    load_weights_file(model, path, repr(path))
    return model


def write_weights_file(
    model: Any, path: str | os.PathLike[str], *, described: bool = False
) -> None:
    """Writes what `model.save_weights` does, as bytes that depend on the model only.

    The state of random numbers is zero; times, orders of creation and the optimizer are left out.
    With `described` the file says what model it is for.
    """
    original = _InMemory()
    keras.saving.save_weights(model, original, objects_to_skip=[getattr(model, "optimizer", None)])
    how = {"driver": "core", "backing_store": False, "track_order": False}
    with h5py.File(original, "r") as source, h5py.File("memory", "w", **how) as target:
        _copy(source, target)
        if described:
            describe(model, target)
        target.flush()
        content = target.id.get_file_image()
    Path(path).write_bytes(content)


def describe(model: Any, file: h5py.File) -> None:
    """Writes a model's arguments, labels and clip specification into the file of its weights."""
    # They do not describe a model that is quantized, or no `TDNResNet`.
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


def _open(file: hdf5.Hdf5Source, origin: str) -> Any:
    fix = "Expected what `model.save_weights` writes. Copy or download it again."
    return hdf5.open_hdf5(file, f"{origin} is damaged or is no Keras weights file", fix)


def _take_head_off(variables: dict[str, Any], shapes: dict[str, Shape]) -> tuple[str, ...]:
    """Removes a classifier that does not fit from both; returns the paths of the model's."""
    ours = {key: tuple(variables[key].shape) for key in variables if key.startswith(HEAD)}
    theirs = {key: shapes[key] for key in shapes if key.startswith(HEAD)}
    fits = {key: shape[:-1] for key, shape in ours.items()}
    if ours and (ours == theirs or (theirs and fits != {k: v[:-1] for k, v in theirs.items()})):
        return ()
    for key in theirs:
        del shapes[key]
    return tuple(variables.pop(key).path for key in ours)


def _variables(model: Any) -> dict[str, Any]:
    """Returns variables by `layer/sublayer/index`; the index counts within a layer, as in files."""
    variables: dict[str, Any] = {}
    counts = collections.Counter[str]()
    for variable in model.weights:
        owner = variable.path.rpartition("/")[0]
        variables[f"{owner}/{counts[owner]}"] = variable
        counts[owner] += 1
    return variables


def places_of(content: hdf5.Hdf5Content) -> dict[str, str]:
    """Returns paths of the file's arrays by `layer/index`; files number layers by their kind."""
    if LAYERS not in content.groups:
        raise hdf5.Hdf5Error(f"it has no group {LAYERS!r}")
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    for path in content.arrays:
        top, _, inner = path.partition("/")
        layer, _, inner = inner.partition("/")
        if top != LAYERS or RANDOM_STATE in inner.split("/"):
            continue
        if layer not in names:
            variables = f"{LAYERS}/{layer}/{VARIABLES}"
            name = content.text(variables, "name") if variables in content.groups else None
            if name is None:
                raise hdf5.Hdf5Error(f"'{LAYERS}/{layer}' does not say which layer it is of")
            names[layer] = name
        owner, _, index = inner.rpartition("/")
        key = "/".join(part for part in (names[layer], *owner.split("/")) if part != VARIABLES)
        if f"{key}/{index}" in places:
            raise hdf5.Hdf5Error(f"two layers are called {names[layer]!r}")
        places[f"{key}/{index}"] = path
    return places


def _check_fit(variables: dict[str, Any], shapes: dict[str, Shape], what: str) -> None:
    fix = "Build the model with the arguments of the one that the file was saved from."
    if "classifier/1" in shapes and "classifier/1" in variables:
        theirs, ours = shapes["classifier/1"], tuple(variables["classifier/1"].shape)
        if theirs != ours and len(theirs) == 1:
            fix = (
                f"The file has {theirs[0]} classes and the model {ours[0]}: build the model with "
                f"classes={theirs[0]}."
            )
    expected = {key: tuple(variable.shape) for key, variable in variables.items()}
    paths = {key: variable.path for key, variable in variables.items()}
    check_problems(what, misfits(expected, shapes, paths), fix)


def _read(content: hdf5.Hdf5Content, path: str) -> np.ndarray:
    dtype = content.dtype(path)
    if content.text(path, "dtype") == BFLOAT16:
        # HDF5 has no bfloat16; Keras writes its bits, the upper half of a float32, and a note.
        if dtype.itemsize != 2:
            raise hdf5.Hdf5Error(f"{path} says that it is {BFLOAT16}, and holds {dtype}")
        bits = content.read(path).view(np.uint16)
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if dtype not in FLOATS:
        raise hdf5.Hdf5Error(f"{path} holds {dtype}")
    return content.read(path)


def _state(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    if not str(path).endswith(WEIGHTS_SUFFIX) or not os.path.isfile(path):
        return None
    state = os.stat(path)
    return state.st_ino, state.st_mtime_ns


class _InMemory(io.BytesIO):
    """A buffer that Keras takes for a file: HDF5 has crashed the process on a full disk."""

    def __str__(self) -> str:
        return f"memory{WEIGHTS_SUFFIX}"


def _copy(source: Any, target: Any) -> None:
    target.attrs.update(sorted(source.attrs.items()))
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
        dataset.attrs.update(sorted(child.attrs.items()))


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model's class and config in a `.keras` file, and the file of its weights."""

    registered_name: Any
    config: Mapping[str, Any]
    weights: io.BytesIO

    @property
    def is_tdn(self) -> bool:
        return self.registered_name == REGISTERED_NAME


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Reads a `.keras` file, without building anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > hdf5.MAX_UNPACKED_RATIO * os.path.getsize(path) + hdf5.FREE_BYTES:
                raise ValueError(f"it unpacks to {unpacked} bytes")
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
                raise ValueError(f"its {CONFIG} is larger than {MAX_CONFIG_BYTES} bytes")
            description = json.loads(archive.read(CONFIG))
            weights = io.BytesIO(archive.read(WEIGHTS))
        if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
            raise ValueError(f"its {CONFIG} describes no model")
        with hdf5.open_hdf5(weights):
            pass
    except _DAMAGE as error:
        raise ValueError(
            f"{os.fspath(path)!r} is damaged or is no Keras model file ({error}). Expected what "
            "`model.save` writes."
        ) from error
    return ModelFile(description.get("registered_name"), description["config"], weights)


def load_model_file(path: str | os.PathLike[str]) -> keras.Model:
    """Loads the model in a `.keras` file, without its optimizer."""
    # Of a `TDNResNet` only plain numbers and names are read; any other model is loaded by Keras.
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise ValueError(f"There is no file {name!r}.")
    file = read_model_file(name)
    try:
        config = PresetConfig.of_keras(file.config) if file.is_tdn else None
        if config is None:
            return keras.saving.load_model(name, compile=False)
        model = config.build(file.weights.getbuffer().nbytes)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{name!r} does not make a model: {error}") from error
    load_weights_file(model, file.weights, repr(name))
    if "clip_spec" not in file.config:
        warn_of_assumed_clips(model, f"The model file {name!r}")
    return model
