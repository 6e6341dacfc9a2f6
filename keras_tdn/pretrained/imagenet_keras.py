"""Weights of `keras.applications`' ResNets, converted to torchvision's names and conventions.

Those networks take blue, green, red pixels minus a mean, where ours take normalised red, green,
blue. Their convolutions have biases, their batch norms another epsilon. All of it is linear in
front of a batch norm and goes into kernels and moving averages. Their stride sits in the first
convolution of a block; ours stays in the second.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from keras_tdn.layers.layer_helpers import NORM_EPSILON
from keras_tdn.limits import check_bytes
from keras_tdn.pretrained.binding import Layout
from keras_tdn.pretrained.hdf5 import Hdf5Content, Hdf5Error, open_hdf5
from keras_tdn.specs import Normalization

# What a batch norm of keras.applications adds: 1.001e-5 in the module that names its layers
# 'conv2_block1_1_conv', Keras' default in the older one with 'res2a_branch2a'.
EPSILON = 1.001e-5
OLDER_EPSILON = 1e-3
# Of "caffe" preprocessing: red, green, blue, in [0, 255].
PIXEL_MEAN = (123.68, 116.779, 103.939)

STEM = {"conv1_conv": "conv1", "conv1_bn": "bn1"}
BLOCK = re.compile(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)")
OLDER_STEM = {"conv1": "conv1", "bn_conv1": "bn1"}
OLDER_BLOCK = re.compile(r"(res|bn)([2-5])([a-z])_branch(1|2a|2b|2c)")
OLDER_PARTS = {"1": 0, "2a": 1, "2b": 2, "2c": 3}
CLASSIFIERS = ("predictions", "fc1000")

STEM_CONV = "conv1"
# Of a file that holds a whole model.
WHOLE_MODEL = "model_weights"


def read_keras_resnet(path: pathlib.Path, epsilon: float | None = None) -> dict[str, np.ndarray]:
    """Reads a Keras ResNet's weights as torchvision would store those of the equal network.

    Args:
        path: A weights file (legacy `.h5`, Keras 3's `.weights.h5`) or a whole model in legacy
            `.h5`. Only arrays are read.
        epsilon: Of its batch norms; `None` is the one that goes with its layers' names.

    Returns:
        A dict from torchvision's name to array in PyTorch's axis order, without the classifier.
        A layer that has no counterpart is kept under its own name, for the caller to refuse.
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
        name = _torchvision_name(layer, older)
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


def _torchvision_name(layer: str, older: bool) -> str | None:
    if older:
        if layer in OLDER_STEM:
            return OLDER_STEM[layer]
        if (match := OLDER_BLOCK.fullmatch(layer)) is None:
            return None
        kind, stage, letter, branch = match.groups()
        block, part = ord(letter) - ord("a"), OLDER_PARTS[branch]
    else:
        if layer in STEM:
            return STEM[layer]
        if (match := BLOCK.fullmatch(layer)) is None:
            return None
        stage, number, digit, kind = match.groups()
        block, part = int(number) - 1, int(digit)
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
        f"{name}.running_var": variance + epsilon - NORM_EPSILON,
    }


def _read_layers(path: pathlib.Path) -> dict[str, list[np.ndarray]]:
    """Reads every layer's arrays in Keras' order, by the layer's name."""
    try:
        with open_hdf5(path) as content:
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
    except Hdf5Error as error:
        raise ValueError(
            f"'{path}' is no HDF5 file of weights, or damaged: {error}. Download it again, or "
            "store the weights in the file itself, as floats."
        ) from error


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
