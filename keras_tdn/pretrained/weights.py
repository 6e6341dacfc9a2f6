"""The `weights` argument of the models: what each form means, and filling the model from it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tdn.models.tdn_resnet import EQUAL_WEIGHT_SEGMENTS, EQUAL_WEIGHTS, OTHER_WEIGHTS

if TYPE_CHECKING:
    from keras_tdn.models import TDNResNet

IMAGENET = "imagenet"
DATASETS = ("kinetics400", "something_something_v1", "something_something_v2")
WEIGHTS_SUFFIX = ".weights.h5"
MODEL_SUFFIX = ".keras"
IMAGENET_SUFFIXES = (".safetensors", ".h5", ".hdf5")

OFFICIAL_REPOSITORY = "https://github.com/MCG-NJU/TDN"
ACCEPTED = (
    f"None; {IMAGENET!r}; a {WEIGHTS_SUFFIX} or {MODEL_SUFFIX} file or a preset folder of this "
    f"model; a .safetensors or .h5 file of a ResNet trained on ImageNet"
)
REGISTERED_NAME = "keras_tdn>TDNResNet"
KERAS_CONFIG = "config.json"
KERAS_WEIGHTS = "model.weights.h5"

FUSION_WEIGHTS = ("appearance_weight", "motion_weight")
# What decides which weights there are and what they mean to each other.
ARCHITECTURE = (
    "stage_depths",
    "width",
    "short_term",
    "long_term",
    "temporal_shift",
    "include_top",
    "classes",
    "num_segments",
    "frames_per_segment",
    *FUSION_WEIGHTS,
)


def load_weights(model: TDNResNet, weights: str | os.PathLike[str]) -> None:
    """Fills a model as its `weights` argument says.

    Args:
        model: A built model.
        weights: See `TDNResNet`.

    Raises:
        ValueError: if there are no such weights or they do not fit the model, which is unchanged
            then.
    """
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"`weights` must be one of: {ACCEPTED}. Received: weights={weights!r}")
    name = os.fspath(weights)
    if name == IMAGENET:
        from keras_tdn.pretrained.imagenet import load_imagenet

        load_imagenet(model)
    elif name in DATASETS:
        raise ValueError(not_hosted(name))
    elif os.path.isdir(name):
        _load_preset_weights(model, name)
    elif not os.path.isfile(name):
        raise ValueError(
            f"There are no weights {name!r}, and no such file or folder. `weights` must be one of: "
            f"{ACCEPTED}."
        )
    elif name.endswith(WEIGHTS_SUFFIX):
        from keras_tdn.pretrained.weights_file import load_weights_file

        load_weights_file(model, name, repr(name))
    elif name.endswith(MODEL_SUFFIX):
        _load_model_weights(model, name)
    elif name.endswith(IMAGENET_SUFFIXES):
        from keras_tdn.pretrained.imagenet import load_imagenet

        load_imagenet(model, name)
    else:
        raise ValueError(
            f"`weights` must be one of: {ACCEPTED}. A checkpoint of the authors' is converted "
            f"first: keras-tdn convert {Path(name).name} my_preset. Received: weights={name!r}"
        )


def not_hosted(name: str) -> str:
    """What to do about a data set's weights that nobody can download yet."""
    return (
        f"Converted copies of the published weights are not hosted yet. Download the authors' "
        f"checkpoint for {name!r} by hand from {OFFICIAL_REPOSITORY}, then run\n"
        f"  keras-tdn convert best.pth.tar my_preset\n"
        f"and pass weights='my_preset' (on the command line --weights my_preset). "
        f"Received: weights={name!r}"
    )


def _load_preset_weights(model: TDNResNet, folder: str) -> None:
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_file import load_weights_file

    origin = f"the preset {folder!r}"
    config, weights = read_preset(folder)
    _check_architecture(model, config.arguments, origin)
    load_weights_file(model, str(weights), origin)
    if model.labels is None and config.arguments["labels"] is not None:
        model.labels = tuple(config.arguments["labels"])
    spec = config.clip_spec
    if all(
        size in (None, given)
        for size, given in zip(model.input_shape[2:4], (spec.height, spec.width), strict=True)
    ):
        model.clip_spec = spec


def _load_model_weights(model: TDNResNet, path: str) -> None:
    """Takes the weights out of a `.keras` file, without building the objects that it describes."""
    from keras_tdn.pretrained.weights_file import load_weights_file

    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read(KERAS_CONFIG))
            weights = io.BytesIO(archive.read(KERAS_WEIGHTS))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(
            f"{path!r} is damaged or is no Keras model file ({error}). Expected what `model.save` "
            "writes."
        ) from error
    received = description.get("registered_name") if isinstance(description, dict) else None
    if received != REGISTERED_NAME or not isinstance(description.get("config"), dict):
        raise ValueError(
            f"{path!r} holds another model. Expected one of class {REGISTERED_NAME!r}. "
            f"Received: {received!r}"
        )
    _check_architecture(model, description["config"], repr(path))
    load_weights_file(model, weights, repr(path))
    labels = description["config"].get("labels")
    if model.labels is None and labels is not None:
        model.labels = tuple(map(str, labels))


def _check_architecture(model: TDNResNet, config: Mapping[str, Any], origin: str) -> None:
    expected, received = _architecture(model.get_config()), _architecture(config)
    differing = [name for name in ARCHITECTURE if expected[name] != received[name]]
    if differing:
        told = "; ".join(
            f"{name} is {received[name]!r} there and {expected[name]!r} in the model"
            for name in differing
        )
        fix = ", ".join(f"{name}={received[name]!r}" for name in differing)
        raise ValueError(
            f"The weights of {origin} belong to another model: {told}. Build the model with {fix}."
        )


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a model's config that must agree, with defaults spelled out."""
    values = {name: config.get(name) for name in ARCHITECTURE}
    depths = values["stage_depths"]
    values["stage_depths"] = tuple(depths) if isinstance(depths, (list, tuple)) else depths
    equal = values["num_segments"] == EQUAL_WEIGHT_SEGMENTS
    defaults = EQUAL_WEIGHTS if equal else OTHER_WEIGHTS
    for name, default in zip(FUSION_WEIGHTS, defaults, strict=True):
        if values[name] is None:
            values[name] = default
    # What a model has no use for cannot differ.
    unused: tuple[str, ...] = FUSION_WEIGHTS if not values["short_term"] else ()
    unused += ("classes",) if not values["include_top"] else ()
    return {**values, **dict.fromkeys(unused)}
