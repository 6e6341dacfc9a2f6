"""Reading the `.keras` files that `model.save` writes, after checking their contents."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import keras

from keras_tdn.models.clips import warn_of_assumed_clips
from keras_tdn.pretrained.hdf5 import FREE_BYTES, MAX_UNPACKED_RATIO, open_hdf5
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.weights_file import load_weights_file

REGISTERED_NAME = "keras_tdn>TDNResNet"
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MAX_CONFIG_BYTES = 16 << 20
_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """What a `.keras` file describes, and its weights.

    Args:
        registered_name: Of the model's class.
        config: Of the model.
        weights: The file of its weights.
    """

    registered_name: Any
    config: Mapping[str, Any]
    weights: io.BytesIO

    @property
    def is_tdn(self) -> bool:
        """Whether it is a `TDNResNet`."""
        return self.registered_name == REGISTERED_NAME


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Reads a `.keras` file, without building anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > MAX_UNPACKED_RATIO * os.path.getsize(path) + FREE_BYTES:
                raise ValueError(f"it unpacks to {unpacked} bytes")
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
                raise ValueError(f"its {CONFIG} is larger than {MAX_CONFIG_BYTES} bytes")
            description = json.loads(archive.read(CONFIG))
            weights = io.BytesIO(archive.read(WEIGHTS))
        if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
            raise ValueError(f"its {CONFIG} describes no model")
        with open_hdf5(weights):
            pass
    except _DAMAGE_ERRORS as error:
        raise ValueError(
            f"{os.fspath(path)!r} is damaged or is no Keras model file ({error}). Expected what "
            "`model.save` writes."
        ) from error
    return ModelFile(description.get("registered_name"), description["config"], weights)


def load_model_file(path: str | os.PathLike[str]) -> keras.Model:
    """Loads the model in a `.keras` file, without its optimizer.

    Of a `TDNResNet` nothing in the file is built but what its config says in plain numbers and
    names, and every weight has to fit and be finite. Any other model is loaded by Keras.

    Raises:
        ValueError: if there is no such file, or it is damaged or asks for far more memory than it
            has bytes.
    """
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
