"""Starting from a ResNet that was trained on ImageNet, as the published models did."""

from __future__ import annotations

import os
import pathlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import safetensors
from safetensors.numpy import load_file

from keras_tdn.layers.batch_norm import EPSILON as NORM_EPSILON
from keras_tdn.limits import check_bytes
from keras_tdn.pretrained import state_dict
from keras_tdn.pretrained.hdf5 import Hdf5Content, Hdf5Error, open_hdf5
from keras_tdn.pretrained.preset_files import HubFile, fetch_file
from keras_tdn.pretrained.weights_file import LAYERS, places_of
from keras_tdn.specs import Normalization

# Torchvision's first ImageNet weights, which the authors' models started from.
# Of the ResNet101 no digest is on record here: the one that the hub declares is checked instead.
IMAGENET_FILES = {
    (3, 4, 6, 3): HubFile(
        repo="timm/resnet50.tv_in1k",
        filename="model.safetensors",
        revision="78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
        sha256="5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
        size=102_469_840,
    ),
    (3, 4, 23, 3): HubFile(repo="timm/resnet101.tv_in1k", filename="model.safetensors"),
}
IMAGENET_WIDTH = 64

BLOCK = r"layer([1-4])\.(\d+)\."
KERNEL_RANK = 4

_ARRAY_ERRORS = (TypeError, KeyError, ValueError, AttributeError, OverflowError)
Arrays = list[np.ndarray]
Named = dict[str, np.ndarray]
# What a batch norm of keras.applications adds: 1.001e-5 in the module that names its layers
# 'conv2_block1_1_conv', Keras' default in the older one with 'res2a_branch2a'.
EPSILON = 1.001e-5
OLDER_EPSILON = 1e-3
# Of "caffe" preprocessing: red, green, blue, in [0, 255].
PIXEL_MEAN = (123.68, 116.779, 103.939)
STEMS = {"conv1_conv": "conv1", "conv1_bn": "bn1", "conv1": "conv1", "bn_conv1": "bn1"}
KERAS_BLOCK = re.compile(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)")
OLDER_BLOCK = re.compile(r"(res|bn)([2-5])([a-z])_branch(1|2a|2b|2c)")
OLDER_PARTS = {"1": 0, "2a": 1, "2b": 2, "2c": 3}


def load_imagenet(model: Any, file: str | os.PathLike[str] | None = None) -> None:
    """Fills a TDN model's stem and stages from a ResNet that was trained on ImageNet.

    The motion stem becomes the stem's mean over its input channels, repeated, and the motion stage
    a copy of stage 1, as in the authors' code. All else keeps its values. A shallower model takes
    the first blocks of each stage, and a warning says so.

    `file` is `None` for torchvision's weights from the Hugging Face Hub; a `.safetensors` file with
    torchvision's names; or a Keras weights file of ResNet50 or ResNet101 of `keras.applications`.
    """
    path = _download(model) if file is None else pathlib.Path(file)
    is_keras = path.suffix.lower() in (".h5", ".hdf5")
    arrays = read_keras_resnet(path) if is_keras else _read_safetensors(path)
    state_dict.assign_all(_bindings(model, biases=is_keras), _first_blocks(model, arrays, path))
    if model.short_term:
        _start_motion_path(model)


def _download(model: Any) -> pathlib.Path:
    files = [file for depths, file in IMAGENET_FILES.items() if _fits(model, depths)]
    if not files or model.width != IMAGENET_WIDTH:
        raise ValueError(
            "ImageNet weights can be downloaded for stage_depths of at most "
            f"{' or '.join(map(str, IMAGENET_FILES))} with a width of {IMAGENET_WIDTH}. Received: "
            f"stage_depths={model.stage_depths}, width={model.width}. Use TDNResNet50 or "
            "TDNResNet101, or pass the path of a file."
        )
    return fetch_file(files[0])


def _read_safetensors(path: pathlib.Path) -> Named:
    """Reads a ResNet's tensors under torchvision's names, without classifier and counters."""
    size = path.stat().st_size
    # The arrays are the file's bytes, and the description in front of them becomes objects.
    check_bytes(size, "model", f"The weights in '{path}'")
    try:
        with path.open("rb") as file:
            described = int.from_bytes(file.read(8), "little")
        # A ResNet's takes twenty kilobytes.
        if described > 16 << 20:
            raise ValueError(f"its description has {described} bytes")
        arrays = load_file(path)
    # What it says of tensors of eight bits depends on its release.
    except (safetensors.SafetensorError, OSError, *_ARRAY_ERRORS) as error:
        raise ValueError(
            f"'{path}' is not a safetensors file that NumPy can hold ({error}): download it again, "
            "or store its tensors as float32."
        ) from error
    return {
        name: array
        for name, array in arrays.items()
        if not name.startswith("fc.") and not name.endswith(state_dict.BATCH_COUNTER)
    }


def _fits(model: Any, depths: tuple[int, ...]) -> bool:
    return all(ours <= theirs for ours, theirs in zip(model.stage_depths, depths, strict=True))


def _first_blocks(model: Any, arrays: Named, path: pathlib.Path) -> Named:
    blocks = {match.groups() for name in arrays if (match := re.match(BLOCK, name))}
    depths = tuple(sum(stage == number for number, _ in blocks) for stage in "1234")
    stem = arrays.get("conv1.weight")
    if stem is None or stem.ndim != KERNEL_RANK or not all(depths):
        raise ValueError(
            f"'{path}' holds no ResNet: expected kernels such as 'conv1.weight' and "
            f"'layer1.0.conv1.weight'. Received {len(arrays)} names: "
            f"{', '.join(sorted(arrays)[:5])}"
        )
    width = stem.shape[0]
    if width != model.width or not _fits(model, depths):
        raise ValueError(
            f"'{path}' holds a ResNet with stage depths {depths} and width {width}, the model has "
            f"stage depths {model.stage_depths} and width {model.width}: build the model that fits "
            "the file, or pass the file that fits the model."
        )
    if depths != model.stage_depths:
        warnings.warn(
            f"'{path}' holds a ResNet with stage depths {depths}: the model, with stage depths "
            f"{model.stage_depths}, takes the first blocks of each stage.",
            stacklevel=4,
        )
    return {
        name: array
        for name, array in arrays.items()
        if (match := re.match(BLOCK, name)) is None
        or int(match[2]) < model.stage_depths[int(match[1]) - 1]
    }


def _bindings(model: Any, biases: bool = False) -> Iterator[state_dict.Binding]:
    yield from state_dict.conv_bindings(model.structure.stem, "conv1", "bn1", biases)
    for stage in model.structure.stages:
        for block in stage:
            name = f"layer{block.stage}.{block.index}"
            yield from state_dict.bottleneck_bindings(block, name, biases)


def _start_motion_path(model: Any) -> None:
    network = model.structure
    stem = keras.ops.convert_to_numpy(network.stem.conv.kernel)
    kernel = network.motion.tdm.conv.kernel
    mean = np.mean(stem, axis=2, keepdims=True, dtype=np.float64)
    kernel.assign(np.broadcast_to(mean, kernel.shape))
    for block, twin in zip(network.motion.stage, network.stages[0], strict=True):
        for layer, source in zip(block.layers(), twin.layers(), strict=True):
            layer.set_weights(source.get_weights())


def read_keras_resnet(path: pathlib.Path) -> Named:
    """Reads a Keras ResNet's weights as torchvision would store those of the equal network.

    Colours, scale and the batch norms' epsilon are converted. Its stride sits in the first
    convolution of a block, ours in the second. A layer without a counterpart keeps its name.
    """
    layers = _read_layers(path)
    older = "conv1" in layers
    if not older and "conv1_conv" not in layers:
        raise ValueError(
            f"'{path}' holds no ResNet of keras.applications: expected layers such as "
            "'conv1_conv' and 'conv2_block1_1_conv', or 'conv1' and 'res2a_branch2a'. "
            f"Received {len(layers)} layers: {', '.join(sorted(layers)[:5])}"
        )
    arrays: Named = {}
    for layer, weights in layers.items():
        if layer in ("predictions", "fc1000"):
            continue
        if (name := _torchvision_name(layer)) is None:
            arrays.update({f"{layer}/{index}": weight for index, weight in enumerate(weights)})
        elif weights[0].ndim == KERNEL_RANK:
            arrays.update(_convolution(layer, name, weights))
        else:
            arrays.update(_norm(layer, name, weights, OLDER_EPSILON if older else EPSILON))
    return arrays


def _torchvision_name(layer: str) -> str | None:
    if layer in STEMS:
        return STEMS[layer]
    if match := KERAS_BLOCK.fullmatch(layer):
        stage, number, digit, kind = match.groups()
        block, part = int(number) - 1, int(digit)
    elif match := OLDER_BLOCK.fullmatch(layer):
        kind, stage, letter, branch = match.groups()
        block, part = ord(letter) - ord("a"), OLDER_PARTS[branch]
    else:
        return None
    is_norm = kind == "bn"
    name = f"downsample.{int(is_norm)}" if part == 0 else f"{'bn' if is_norm else 'conv'}{part}"
    return f"layer{int(stage) - 1}.{block}.{name}"


def _convolution(layer: str, name: str, weights: Arrays) -> Named:
    kernel, *rest = weights
    channels = kernel.shape[-1]
    bias = rest[0] if rest else np.zeros(channels)
    if len(rest) > 1 or bias.shape != (channels,):
        raise ValueError(
            f"The layer '{layer}' needs a kernel and a bias of {channels} numbers. "
            f"Received shapes: {[weight.shape for weight in weights]}"
        )
    if name == "conv1":
        kernel, bias = _recolour(kernel, bias)
    return {f"{name}.weight": state_dict.Layout.CONV.to_torch(kernel), f"{name}.bias": bias}


def _recolour(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Converts a stem for blue, green, red pixels minus a mean to normalised red, green, blue.

    A pixel is `255 * (std * x + mean)`. It is exact where the kernel sees the picture only. In the
    padding zeros stand for the mean colour, and the two means lie up to 0.5 of 255 levels apart:
    with the published ResNet50 that moves the stem's outermost outputs by 1.4e-3 of the largest.
    """
    if kernel.shape[2] != len(PIXEL_MEAN):
        raise ValueError(
            f"The first convolution needs {len(PIXEL_MEAN)} input channels, blue, green and red. "
            f"Received a kernel of shape {kernel.shape}"
        )
    ours = Normalization()
    kernel = np.asarray(kernel[:, :, ::-1], np.float64)
    offset = 255 * np.asarray(ours.mean) - np.asarray(PIXEL_MEAN)
    bias = bias + np.einsum("hwio,i->o", kernel, offset)
    return kernel * (255 * np.asarray(ours.std))[:, None], bias


def _norm(layer: str, name: str, weights: Arrays, epsilon: float) -> Named:
    if len(weights) != 4 or len({weight.shape for weight in weights}) != 1:
        raise ValueError(
            f"The batch norm '{layer}' needs four vectors of one length: gamma, beta, moving mean "
            f"and variance. Received shapes: {[weight.shape for weight in weights]}"
        )
    gamma, beta, mean, variance = (np.asarray(weight, np.float64) for weight in weights)
    return {
        f"{name}.weight": gamma,
        f"{name}.bias": beta,
        f"{name}.running_mean": mean,
        f"{name}.running_var": variance + epsilon - NORM_EPSILON,
    }


def _read_layers(path: pathlib.Path) -> dict[str, Arrays]:
    what = f"'{path}' is no HDF5 file of weights, or damaged"
    fix = "Download it again, or store the weights in the file itself, as floats."
    with open_hdf5(path, what, fix) as content:
        layers = (_keras3_layers if LAYERS in content.groups else _legacy_layers)(content)
        paths = [array for arrays in layers.values() for array in arrays]
        for array in paths:
            if content.dtype(array).kind != "f":
                raise Hdf5Error(f"something else than an array of real numbers at '{array}'")
        check_bytes(sum(map(content.num_bytes, paths)), "model", f"The weights in '{path}'")
        return {layer: [content.read(array) for array in layers[layer]] for layer in layers}


def _keras3_layers(content: Hdf5Content) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for key, array in sorted(places_of(content).items()):
        layer, _, index = key.rpartition("/")
        arrays = layers.setdefault(layer, [])
        if index != str(len(arrays)):
            raise Hdf5Error(f"the arrays of '{layer}' are not numbered")
        arrays.append(array)
    return layers


def _legacy_layers(content: Hdf5Content) -> dict[str, list[str]]:
    # In a file that holds a whole model, they are in a group.
    root = "model_weights/" if "model_weights" in content.groups else ""
    layers = {}
    for group in content.groups:
        names, layer = content.texts(group, "weight_names"), group.removeprefix(root)
        if not names or not group.startswith(root) or "/" in layer:
            continue
        layers[layer] = [f"{group}/{name}" for name in names]
        if missing := [array for array in layers[layer] if array not in content.arrays]:
            raise Hdf5Error(f"the layer '{layer}' lists '{missing[0]}', which is not there")
    return layers
