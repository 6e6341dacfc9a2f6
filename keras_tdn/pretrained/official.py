"""The authors' state dict and ours: names, axis orders, merged biases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_tdn.models.network_structure import Bottleneck
from keras_tdn.pretrained.binding import (
    Binding,
    Layout,
    assign_all,
    bottleneck_bindings,
    conv_bindings,
    norm_bindings,
)

PREFIX = "module."
# With dropout the authors' head is a layer of its own; without, it sits in the base model.
HEAD_NAMES = ("new_fc", "base_model.fc")
STEM = "base_model.conv1"
MOTION_STEM = "base_model.conv1_5"
# The stem that the authors inflate their motion stem from stays behind, unused, in every file.
UNUSED_STEM = "base_model.conv1_temp"
BATCH_COUNTER = ".num_batches_tracked"


def load_official_state_dict(model: Any, state_dict: Mapping[str, Any]) -> None:
    """Fills a TDN model from the authors' tensors.

    Convolution biases in front of batch norms are merged into the moving means, which is exact.
    The unused `conv1_temp` and the batch counters are dropped; any other tensor must have its
    place and any variable its tensor.

    Args:
        model: A `keras_tdn.TDNResNet` with its classifier.
        state_dict: The authors' names, with or without `module.` in front, to arrays.

    Raises:
        ValueError: if anything is missing, left over, of another shape or not finite, all of it
            listed. The model is unchanged then.

    Example:

    >>> model = keras_tdn.TDNResNet((1, 1, 1, 1), classes=10)
    >>> other = keras_tdn.TDNResNet((1, 1, 1, 1), classes=10)
    >>> load_official_state_dict(model, to_official_state_dict(other))
    """
    arrays = {
        name: array for name, array in without_prefix(state_dict).items() if not _is_dropped(name)
    }
    assign_all(_bindings(model, _head_name(arrays)), arrays, model.weights)


def to_official_state_dict(model: Any) -> dict[str, np.ndarray]:
    """Returns a TDN model's weights under the authors' names, in PyTorch's axis orders.

    The authors' convolution biases come back as zeros, the batch counters as zeros, and the unused
    `conv1_temp` as a copy of the stem, so that their `load_state_dict` takes the result with
    `strict=True` (put `module.` in front of the names for a model in `DataParallel`).

    Args:
        model: A `keras_tdn.TDNResNet` with all of its temporal modules and its classifier.

    Returns:
        A dict from name to float32 array; the counters are int64.

    Raises:
        ValueError: if the model has no classifier.
    """
    state: dict[str, np.ndarray] = {}
    for binding in _bindings(model, HEAD_NAMES[0] if model.dropout_rate else HEAD_NAMES[1]):
        value = keras.ops.convert_to_numpy(binding.variable).astype(np.float32)
        state[binding.name] = np.ascontiguousarray(binding.layout.to_torch(value))
        if binding.subtract is not None:
            state[binding.subtract] = np.zeros(binding.shape, np.float32)
        if binding.name.endswith(".running_var"):
            counter = binding.name.removesuffix(".running_var") + BATCH_COUNTER
            state[counter] = np.asarray(0, np.int64)
    for tensor in ("weight", "bias"):
        state[f"{UNUSED_STEM}.{tensor}"] = state[f"{STEM}.{tensor}"].copy()
    return state


def architecture_of(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the `TDNResNet` arguments that follow from the tensors' names and shapes.

    The number of segments is not among them: no tensor depends on it.
    """
    arrays = without_prefix(state_dict)
    depths = [
        len({match[1] for name in arrays if (match := re.match(rf"{stage}\.(\d+)\.", name))})
        for stage in (f"base_model.layer{index}_bak" for index in range(1, 5))
    ]
    heads = [name for name in HEAD_NAMES if f"{name}.weight" in arrays]
    ranks = {f"{STEM}.weight": 4, **{f"{name}.weight": 2 for name in heads}}
    if (
        not all(depths)
        or len(heads) != 1
        or any(np.ndim(arrays.get(name, 0)) != rank for name, rank in ranks.items())
    ):
        raise ValueError(
            "These are not the tensors of a TDN model: expected names such as "
            f"'{STEM}.weight', 'base_model.layer1_bak.0.conv1.weight' and '{HEAD_NAMES[0]}.weight',"
            f" with or without '{PREFIX}' in front. Received {len(arrays)} names: "
            f"{', '.join(sorted(arrays)[:5])}"
        )
    return {
        "stage_depths": tuple(depths),
        "width": int(arrays[f"{STEM}.weight"].shape[0]),
        "classes": int(arrays[f"{heads[0]}.weight"].shape[0]),
    }


def without_prefix(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Removes `module.` from the names that start with it."""
    return {name.removeprefix(PREFIX): array for name, array in state_dict.items()}


def _is_dropped(name: str) -> bool:
    return name.startswith(f"{UNUSED_STEM}.") or name.endswith(BATCH_COUNTER)


def _head_name(arrays: Mapping[str, Any]) -> str:
    return next((name for name in HEAD_NAMES if f"{name}.weight" in arrays), HEAD_NAMES[0])


def _bindings(model: Any, head: str) -> Iterator[Binding]:
    """Binds every variable of the model to the authors' name for it."""
    if not model.include_top:
        raise ValueError(
            "The authors' state dict has a classifier: build the model with include_top=True and "
            "take its features by layer. Received: include_top=False"
        )
    network = model.structure
    yield from conv_bindings(network.stem, STEM, "base_model.bn1", biases=True)
    if network.motion is not None:
        yield Binding(network.motion.tdm.conv.kernel, f"{MOTION_STEM}.0.weight", Layout.CONV)
        yield from norm_bindings(network.motion.tdm.norm, f"{MOTION_STEM}.1")
        for block in network.motion.stage:
            yield from _block(block, f"base_model.resnext_layer1.{block.index}")
    for stage in network.stages:
        for block in stage:
            yield from _block(block, f"base_model.layer{block.stage}_bak.{block.index}")
    classifier = model.get_layer("classifier")
    yield Binding(classifier.kernel, f"{head}.weight", Layout.DENSE)
    yield Binding(classifier.bias, f"{head}.bias", Layout.VECTOR)


def _block(block: Bottleneck, theirs: str) -> Iterator[Binding]:
    yield from bottleneck_bindings(block, theirs, biases=True)
    if block.long_term_tdm is not None:
        yield from long_term_tdm_bindings(block.long_term_tdm, f"{theirs}.mse")
    if block.temporal_shift is not None:
        kernel = block.temporal_shift.kernel
        yield Binding(kernel, f"{theirs}.shift.conv.weight", Layout.TEMPORAL)


def long_term_tdm_bindings(layer: Any, theirs: str) -> Iterator[Binding]:
    """Binds every variable of a `LongTermTDM` to the authors' name for it."""
    for conv, norm, their_conv, their_norm in (
        (layer.squeeze_conv, layer.squeeze_norm, "conv1", "bn1"),
        (layer.half_scale_conv, layer.half_scale_norm, "conv3_smallscale2", "bn3_smallscale2"),
        (layer.full_scale_conv, layer.full_scale_norm, "conv3_smallscale4", "bn3_smallscale4"),
        (layer.expand_conv, layer.expand_norm, "conv3", "bn3"),
    ):
        yield Binding(conv.kernel, f"{theirs}.{their_conv}.weight", Layout.CONV)
        yield from norm_bindings(norm, f"{theirs}.{their_norm}")
    yield Binding(layer.smooth_conv.kernel, f"{theirs}.conv2.weight", Layout.DEPTHWISE)
