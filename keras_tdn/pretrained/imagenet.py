"""Starting from a ResNet that was trained on ImageNet, as the published models did."""

from __future__ import annotations

import os
import pathlib
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import safetensors
from safetensors.numpy import load_file

from keras_tdn.layers.batch_norm import EPSILON
from keras_tdn.limits import check_bytes
from keras_tdn.pretrained.hdf5 import Hdf5Content, Hdf5Error, open_hdf5
from keras_tdn.pretrained.preset_files import HubFile, fetch_file
from keras_tdn.pretrained.state_dict import (
    Binding,
    Layout,
    assign_all,
    bottleneck_bindings,
    conv_bindings,
)
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

SAFETENSORS_SUFFIX = ".safetensors"
KERAS_SUFFIXES = (".h5", ".hdf5")
CLASSIFIER = "fc."
BLOCK = r"layer([1-4])\.(\d+)\."
BATCH_COUNTER = ".num_batches_tracked"
KERNEL_RANK = 4

# A ResNet's takes twenty kilobytes.
MAX_DESCRIPTION_BYTES = 16 << 20
_ARRAY_ERRORS = (TypeError, KeyError, ValueError, AttributeError, OverflowError)
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
CLASSIFIERS = ("predictions", "fc1000")
STEM_CONV = "conv1"
# Of a file that holds a whole model.
WHOLE_MODEL = "model_weights"


def load_imagenet(
    model: Any,
    source: str | os.PathLike[str] | HubFile | None = None,
    epsilon: float | None = None,
) -> None:
    """Fills a TDN model's stem and stages from a ResNet that was trained on ImageNet.

    The motion stem becomes the stem's mean over its input channels, repeated for every channel of
    the differences, and the motion stage a copy of stage 1, as in the authors' code. The motion
    stem's batch norm, the temporal modules and the classifier keep their values; ImageNet's own
    classifier is dropped. A shallower model takes the first blocks of each stage, and a warning
    says so: a start for compact models, not a network that was trained together.

    Args:
        model: A `keras_tdn.TDNResNet`, with or without classifier and temporal modules.
        source: `None` for torchvision's weights, downloaded from the Hugging Face Hub; a `HubFile`
            for a copy elsewhere on it; or a local file: a `.safetensors` file with torchvision's
            names, or a Keras weights file (`.h5`) of `keras.applications.ResNet50` or `ResNet101`,
            which is converted to this model's colours, scale and batch norm constants.
        epsilon: Of the batch norms in a Keras file, if it is not the one that goes with its names.

    Raises:
        ValueError: if the file is no such ResNet, is shallower or of another width, or if anything
            is missing, left over, of another shape or not finite. The model is unchanged then.
        OSError: if the file could not be downloaded.

    Example:

    >>> model = keras_tdn.TDNResNet50(classes=174)
    >>> load_imagenet(model, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5")
    """
    path = _path(model, source)
    arrays = _read(path, epsilon)
    arrays = _first_blocks(model, arrays, path)
    # Temporal modules and classifier keep their values.
    assign_all(_bindings(model), arrays)
    if model.short_term:
        _start_motion_path(model)


def _path(model: Any, source: str | os.PathLike[str] | HubFile | None) -> pathlib.Path:
    if source is None:
        sources = [file for depths, file in IMAGENET_FILES.items() if _fits(model, depths)]
        if not sources or model.width != IMAGENET_WIDTH:
            raise ValueError(
                "ImageNet weights can be downloaded for stage_depths of at most "
                f"{' or '.join(str(depths) for depths in IMAGENET_FILES)} with a width of "
                f"{IMAGENET_WIDTH}. Received: stage_depths={model.stage_depths}, "
                f"width={model.width}. Use TDNResNet50 or TDNResNet101, or pass the path of a file."
            )
        source = sources[0]
    if isinstance(source, HubFile):
        return fetch_file(source)
    path = pathlib.Path(source)
    if not path.is_file():
        raise ValueError(f"There is no file of ImageNet weights at '{path}'.")
    return path


def _read(path: pathlib.Path, epsilon: float | None) -> dict[str, np.ndarray]:
    """Reads a ResNet's tensors under torchvision's names, without classifier and counters."""
    suffix = path.suffix.lower()
    if suffix in KERAS_SUFFIXES:
        return read_keras_resnet(path, epsilon)
    if suffix != SAFETENSORS_SUFFIX:
        raise ValueError(
            f"ImageNet weights are read from '{SAFETENSORS_SUFFIX}' files with torchvision's names "
            f"and from Keras weights files {KERAS_SUFFIXES}. Received: '{path}'"
        )
    if epsilon is not None:
        raise ValueError(
            "`epsilon` is for Keras weights files; torchvision's batch norms have this model's. "
            f"Received: epsilon={epsilon} with '{path}'"
        )
    return {
        name: array
        for name, array in _read_safetensors(path).items()
        if not name.startswith(CLASSIFIER) and not name.endswith(BATCH_COUNTER)
    }


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    size = path.stat().st_size
    # The arrays are the file's bytes, and the description in front of them becomes objects.
    check_bytes(size, "model", f"The weights in '{path}'")
    try:
        with path.open("rb") as file:
            described = int.from_bytes(file.read(8), "little")
        if described > MAX_DESCRIPTION_BYTES:
            raise ValueError(f"its description has {described} bytes")
        return load_file(path)
    # What it says of tensors of eight bits depends on its release.
    except (safetensors.SafetensorError, OSError, *_ARRAY_ERRORS) as error:
        raise ValueError(
            f"'{path}' is not a safetensors file that NumPy can hold ({error}): download it again, "
            "or store its tensors as float32."
        ) from error


def _fits(model: Any, depths: tuple[int, ...]) -> bool:
    return all(ours <= theirs for ours, theirs in zip(model.stage_depths, depths, strict=True))


def _first_blocks(
    model: Any, arrays: Mapping[str, np.ndarray], path: pathlib.Path
) -> dict[str, np.ndarray]:
    """Returns the file's tensors that a model of this depth has; raises if it has others."""
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
            f"stage depths {model.stage_depths} and width {model.width}: "
            "build the model that fits the file, or pass the file that fits the model."
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


def _bindings(model: Any) -> Iterator[Binding]:
    yield from conv_bindings(model.structure.stem, "conv1", "bn1")
    for stage in model.structure.stages:
        for block in stage:
            yield from bottleneck_bindings(block, f"layer{block.stage}.{block.index}")


def _start_motion_path(model: Any) -> None:
    network = model.structure
    stem = keras.ops.convert_to_numpy(network.stem.conv.kernel)
    kernel = network.motion.tdm.conv.kernel
    mean = np.mean(stem, axis=2, keepdims=True, dtype=np.float64)
    kernel.assign(np.broadcast_to(mean, kernel.shape))
    for block, twin in zip(network.motion.stage, network.stages[0], strict=True):
        for layer, source in zip(block.layers(), twin.layers(), strict=True):
            layer.set_weights(source.get_weights())


def read_keras_resnet(path: pathlib.Path, epsilon: float | None = None) -> dict[str, np.ndarray]:
    """Reads a Keras ResNet's weights as torchvision would store those of the equal network.

    Those networks take blue, green, red pixels minus a mean, have biases in their convolutions and
    another epsilon in their batch norms; all of it is linear in front of a batch norm. Their stride
    sits in the first convolution of a block; ours stays in the second. A layer that has no
    counterpart is kept under its own name, for the caller to refuse.
    """
    layers = _read_layers(path)
    older = "conv1" in layers
    if not older and "conv1_conv" not in layers:
        raise ValueError(
            f"'{path}' holds no ResNet of keras.applications: expected layers such as "
            "'conv1_conv' and 'conv2_block1_1_conv', or 'conv1' and 'res2a_branch2a'. "
            f"Received {len(layers)} layers: {', '.join(sorted(layers)[:5])}"
        )
    if epsilon is None:
        epsilon = OLDER_EPSILON if older else EPSILON
    arrays: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for layer, weights in layers.items():
        if layer in CLASSIFIERS:
            continue
        name = _torchvision_name(layer)
        if name is None:
            arrays.update({f"{layer}/{index}": weight for index, weight in enumerate(weights)})
        elif weights[0].ndim == 4:
            arrays[f"{name}.weight"], biases[_norm_of(name)] = _convolution(layer, name, weights)
        else:
            arrays.update(_norm(layer, name, weights, epsilon))
    for norm, bias in biases.items():
        mean = arrays.get(f"{norm}.running_mean")
        if mean is None or mean.shape != bias.shape:
            raise ValueError(
                f"'{path}' has a convolution with {bias.size} biases in front of the batch norm "
                f"'{norm}', which has {0 if mean is None else mean.size} moving means: it is "
                "damaged or no ResNet."
            )
        arrays[f"{norm}.running_mean"] = mean - bias
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


def _norm_of(conv: str) -> str:
    return conv.removesuffix("0") + "1" if "downsample" in conv else conv.replace("conv", "bn")


def _convolution(layer: str, name: str, weights: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel and the bias for this model's input."""
    kernel, *rest = weights
    channels = kernel.shape[-1]
    bias = rest[0] if rest else np.zeros(channels)
    if len(rest) > 1 or bias.shape != (channels,):
        raise ValueError(
            f"The layer '{layer}' needs a kernel and a bias of {channels} numbers. "
            f"Received shapes: {[weight.shape for weight in weights]}"
        )
    if name == STEM_CONV:
        kernel, bias = _recolour(kernel, bias)
    return Layout.CONV.to_torch(kernel), bias


def _recolour(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Converts a stem for blue, green, red pixels minus a mean to normalised red, green, blue.

    With `x` normalised, a pixel is `255 * (std * x + mean)`, so that the kernel takes the factor
    `255 * std` and the bias the rest. Exact wherever the kernel sees the picture only: where it
    reaches into the padding, zeros stand for the mean colour, and the two means lie up to 0.5 of
    255 levels apart. With the published ResNet50 that moves the outermost rows and columns of the
    stem's output by at most 1.4e-3 of its largest activation, and nothing inside.
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


def _norm(
    layer: str, name: str, weights: list[np.ndarray], epsilon: float
) -> dict[str, np.ndarray]:
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
        f"{name}.running_var": variance + epsilon - EPSILON,
    }


def _read_layers(path: pathlib.Path) -> dict[str, list[np.ndarray]]:
    """Reads every layer's arrays in Keras' order, by the layer's name."""
    what = f"'{path}' is no HDF5 file of weights, or damaged"
    fix = "Download it again, or store the weights in the file itself, as floats."
    with open_hdf5(path, what, fix) as content:
        root = f"{WHOLE_MODEL}/" if WHOLE_MODEL in content.groups else ""
        is_keras3 = f"{root}layers" in content.groups
        layers = (_keras3_layers if is_keras3 else _legacy_layers)(content, root)
        paths = [array for arrays in layers.values() for array in arrays]
        for array in paths:
            if content.dtype(array).kind != "f":
                raise Hdf5Error(f"something else than an array of real numbers at '{array}'")
        total = sum(map(content.num_bytes, paths))
        check_bytes(total, "model", f"The weights in '{path}'")
        return {
            layer: [content.read(array) for array in arrays]
            for layer, arrays in layers.items()
            if arrays
        }


def _legacy_layers(content: Hdf5Content, root: str) -> dict[str, list[str]]:
    layers = {}
    for group in content.groups:
        layer = group.removeprefix(root)
        if not group.startswith(root) or not layer or "/" in layer:
            continue
        layers[layer] = [f"{group}/{name}" for name in content.texts(group, "weight_names")]
        missing = [array for array in layers[layer] if array not in content.arrays]
        if missing:
            raise Hdf5Error(f"the layer '{layer}' lists '{missing[0]}', which is not there")
    return layers


def _keras3_layers(content: Hdf5Content, root: str) -> dict[str, list[str]]:
    layers = {}
    for group in content.groups:
        number, _, kind = group.removeprefix(f"{root}layers/").rpartition("/")
        if not group.startswith(f"{root}layers/") or kind != "vars" or "/" in number:
            continue
        arrays = [array for array in content.arrays if array.startswith(f"{group}/")]
        # The layer's own name is an attribute; the groups are numbered by kind of layer.
        layer = content.text(group, "name") or number
        layers[layer] = [f"{group}/{index}" for index in range(len(arrays))]
        if sorted(layers[layer]) != sorted(arrays):
            raise Hdf5Error(f"the arrays of '{group}' are not numbered")
    return layers
