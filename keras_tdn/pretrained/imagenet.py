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

from keras_tdn.limits import check_bytes
from keras_tdn.pretrained.binding import Binding, assign_all, bottleneck_bindings, conv_bindings
from keras_tdn.pretrained.hub import HubFile, fetch_file
from keras_tdn.pretrained.imagenet_keras import read_keras_resnet

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
    assign_all(_bindings(model), arrays, _imagenet_variables(model))
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
    return {name: array for name, array in arrays.items() if not _is_later_block(model, name)}


def _is_later_block(model: Any, name: str) -> bool:
    match = re.match(BLOCK, name)
    return match is not None and int(match[2]) >= model.stage_depths[int(match[1]) - 1]


def _imagenet_variables(model: Any) -> list[Any]:
    """Returns the variables of a 2-D network. Temporal modules and classifier keep their values."""
    network = model.structure
    convs = [network.stem]
    for stage in network.stages:
        for block in stage:
            convs += [*block.convs, *([] if block.shortcut is None else [block.shortcut])]
    return [
        variable for conv in convs for layer in (conv.conv, conv.norm) for variable in layer.weights
    ]


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
