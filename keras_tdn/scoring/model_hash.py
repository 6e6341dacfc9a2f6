"""A hash of everything in a model that its scores follow from."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import marshal
import re
from collections.abc import Mapping
from types import CodeType
from typing import Any

import keras
import numpy as np

from keras_tdn.specs import Normalization

# Whether layers are frozen changes no score, and training and loading differ in it. The shapes that
# layers were built with follow from the weights, or from the batch that came first.
IRRELEVANT = ("trainable", "frozen_layers", "build_config", "build_input_shape")
PUBLISHED_NORMALIZATION = dataclasses.asdict(Normalization())
# Python writes it after the names of functions and of objects that do not describe themselves.
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def model_sha256(model: keras.Model) -> str:
    """Hexadecimal SHA-256 of a model's weights and of its config, without the names of layers.

    It is equal in every process, and for models that compute the same alone.
    """
    config = json.dumps(_config(model), sort_keys=True, default=_described)
    digest = hashlib.sha256(config.encode())
    for variable in model.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _config(part: keras.Model | keras.layers.Layer) -> list[Any]:
    parts: list[Any] = [type(part).__name__]
    # Keras raises it for a subclass that does not say what it was built with.
    with contextlib.suppress(NotImplementedError):
        parts.append(_anonymous(part.get_config(), {}))
    if isinstance(part, keras.Model) and not getattr(part, "outputs", None):
        parts += [_config(layer) for layer in part.layers]
    return parts


def _anonymous(value: Any, places: Mapping[str, int]) -> Any:
    """A config in which layers are numbered, because names count the models of a process."""
    if isinstance(value, list | tuple):
        return [_anonymous(item, places) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__lambda__":
        return _anonymous(_lambda(value["config"]), places)
    layers = value.get("layers")
    if isinstance(layers, list | tuple):
        names = [layer.get("name") for layer in layers if isinstance(layer, Mapping)]
        places = {name: place for place, name in enumerate(names) if name is not None}
    kept = {}
    for key, item in value.items():
        if key in IRRELEVANT or (key == "name" and _is_of_layer(value)):
            continue
        if key == "clip_spec":
            # How clips are cut is part of a run's identity, and the model takes any.
            item = item.get("normalization") if isinstance(item, Mapping) else None
            if item in (None, PUBLISHED_NORMALIZATION):
                continue
        if key in ("keras_history", "input_layers", "output_layers"):
            kept[key] = _numbered(item, places)
        else:
            kept[key] = _anonymous(item, places)
    return kept


def _is_of_layer(config: Mapping[str, Any]) -> bool:
    """Whether the name in a config is a layer's; others, such as that of a dtype, count."""
    # Layers say whether they are trainable, inputs their shape, entries of a model their class.
    return any(key in config for key in ("trainable", "batch_shape", "class_name"))


def _numbered(value: Any, places: Mapping[str, int]) -> Any:
    if isinstance(value, list | tuple):
        return [_numbered(item, places) for item in value]
    if isinstance(value, Mapping):
        # Of outputs that have names, these stay.
        return {key: _numbered(item, places) for key, item in value.items()}
    return places.get(value, value) if isinstance(value, str) else value


def _lambda(config: Any) -> Any:
    """What a function without a name does, wherever its code was read from."""
    if not isinstance(config, Mapping) or "code" not in config:
        return config
    return {**config, "code": _instructions(marshal.loads(base64.b64decode(config["code"])))}


def _instructions(code: CodeType) -> list[Any]:
    constants = [_instructions(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]


def _described(value: Any) -> str:
    return ADDRESS.sub("", str(value))
