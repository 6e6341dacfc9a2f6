"""PyTorch's state dicts and ours: names, axis orders, merged biases; filled whole or not at all."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_tdn.models.network_structure import Bottleneck, ConvNorm

Shape = tuple[int, ...]
MAX_LISTED = 20
PREFIX = "module."
# With dropout the authors' head is a layer of its own; without, it sits in the base model.
HEAD_NAMES = ("new_fc", "base_model.fc")
STEM = "base_model.conv1"
MOTION_STEM = "base_model.conv1_5"
# The stem that the authors inflate their motion stem from stays behind, unused, in every file.
UNUSED_STEM = "base_model.conv1_temp"
BATCH_COUNTER = ".num_batches_tracked"


class Layout(enum.Enum):
    """A kind of weight; the value is the permutation from PyTorch's axis order to Keras'."""

    CONV = (2, 3, 1, 0)
    DEPTHWISE = (2, 3, 0, 1)
    # (channels, 1, taps) to (taps, channels), which has no axis of size 1.
    TEMPORAL = (2, 0, 1)
    DENSE = (1, 0)
    VECTOR = (0,)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        array = array[..., None] if self is Layout.TEMPORAL else array
        return np.transpose(array, np.argsort(self.value))


@dataclasses.dataclass(frozen=True)
class Binding:
    """One Keras variable, and the name and axis order of the array that it is filled from.

    `subtract` names a convolution's bias, which merges into the moving mean behind it.
    """

    variable: Any
    name: str
    layout: Layout
    subtract: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if self.subtract is None else (self.name, self.subtract)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.to_torch(np.broadcast_to(0, self.variable.shape)).shape

    def value(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        value = np.asarray(arrays[self.name], np.float64)
        if self.subtract is not None:
            value = value - np.asarray(arrays[self.subtract], np.float64)
        return np.transpose(value, self.layout.value).reshape(self.variable.shape)


def bottleneck_bindings(block: Bottleneck, theirs: str, biases: bool = False) -> Iterator[Binding]:
    """Binds the convolutions and batch norms of a block to torchvision's names."""
    for part, conv in enumerate(block.convs, start=1):
        yield from conv_bindings(conv, f"{theirs}.conv{part}", f"{theirs}.bn{part}", biases)
    if block.shortcut is not None:
        names = f"{theirs}.downsample.0", f"{theirs}.downsample.1"
        yield from conv_bindings(block.shortcut, *names, biases)


def conv_bindings(layers: Any, conv: str, norm: str, biases: bool = False) -> Iterator[Binding]:
    """Binds the `conv` and `norm` of something to PyTorch's names for them."""
    bias = f"{conv}.bias" if biases else None
    yield Binding(layers.conv.kernel, f"{conv}.weight", Layout.CONV)
    yield Binding(layers.norm.gamma, f"{norm}.weight", Layout.VECTOR)
    yield Binding(layers.norm.beta, f"{norm}.bias", Layout.VECTOR)
    yield Binding(layers.norm.moving_mean, f"{norm}.running_mean", Layout.VECTOR, bias)
    yield Binding(layers.norm.moving_variance, f"{norm}.running_var", Layout.VECTOR)


def assign_all(
    bindings: Iterable[Binding], arrays: Mapping[str, np.ndarray], variables: Iterable[Any] = ()
) -> None:
    """Assigns every binding; a `ValueError` that lists all that does not fit changes nothing."""
    bindings = list(bindings)
    shapes = {name: binding.shape for binding in bindings for name in binding.names}
    bound = {id(binding.variable) for binding in bindings}
    found = {name: arrays[name] for name in shapes if name in arrays}
    real = {name: array for name, array in found.items() if is_real(array.dtype)}
    problems = {
        **misfits(shapes, {name: np.shape(array) for name, array in arrays.items()}),
        "variables that nothing fills": [each.path for each in variables if id(each) not in bound],
        "no real numbers": [
            f"{name} of type {array.dtype}" for name, array in found.items() if name not in real
        ],
        "not finite": [name for name, array in real.items() if not np.all(np.isfinite(array))],
    }
    check_problems("The weights", problems)
    assign_checked("The weights", ((b.variable, b.name, b.value(arrays)) for b in bindings))


def misfits(
    expected: Mapping[str, Shape],
    received: Mapping[str, Shape],
    paths: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Returns how shapes differ, for `check_problems`, which calls what is expected by `paths`."""
    shown = paths or {name: name for name in expected}
    return {
        "missing from the file": [shown[name] for name in expected if name not in received],
        "left over (the model has no place for them)": sorted(set(received) - set(expected)),
        "of another shape": [
            f"{shown[name]} {received[name]}, the model needs {shape}"
            for name, shape in expected.items()
            if received.get(name, shape) != shape
        ],
    }


def assign_checked(what: str, values: Iterable[tuple[Any, str, np.ndarray]]) -> None:
    """Assigns arrays to variables if each, called by its name, is finite in their precision."""
    ready: list[tuple[Any, np.ndarray]] = []
    broken: list[str] = []
    import ml_dtypes

    for variable, name, array in values:
        kind = ml_dtypes.bfloat16 if variable.dtype == "bfloat16" else variable.dtype
        # Infinity is what is looked for.
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.asarray(array).astype(kind, copy=False)
        if not np.all(np.isfinite(value)):
            finite = np.all(np.isfinite(array))
            broken.append(f"{name} (too large for {variable.dtype})" if finite else name)
        ready.append((variable, value))
    check_problems(what, {"not finite": broken})
    for variable, value in ready:
        variable.assign(value)


def check_problems(what: str, problems: Mapping[str, list[str]], fix: str = "") -> None:
    """Raises a `ValueError` about `what` that lists all names with problems, if there are any."""
    lines = []
    for title, entries in problems.items():
        more = len(entries) - MAX_LISTED
        listed = ", ".join(entries[:MAX_LISTED]) + (f", and {more} more" if more > 0 else "")
        lines += [f"  {title} ({len(entries)}): {listed}"] if entries else []
    if lines:
        first = f"{what} do not fit the model, and no variable was changed."
        raise ValueError("\n".join([first, *lines, *([fix] if fix else [])]))


def is_real(dtype: np.dtype) -> bool:
    """Whether numbers of a type are weights: floats of at least 16 bits."""
    # NumPy itself does not know bfloat16.
    return dtype.kind == "f" or dtype.name == "bfloat16"


def load_official_state_dict(model: Any, state_dict: Mapping[str, Any]) -> None:
    """Fills a TDN model from the authors' tensors.

    Convolution biases in front of batch norms are merged into the moving means, which is exact.
    The unused `conv1_temp` and the batch counters are dropped.

    Args:
        model: A `keras_tdn.TDNResNet` with its classifier.
        state_dict: The authors' names, with or without `module.` in front, to arrays.

    Raises:
        ValueError: if anything else is missing, left over, of another shape or not finite, all of
            it listed. The model is unchanged then.

    Example:

    >>> model = keras_tdn.TDNResNet((1, 1, 1, 1), classes=10)
    >>> load_official_state_dict(model, to_official_state_dict(model))
    """
    arrays = {
        name: array
        for name, array in without_prefix(state_dict).items()
        if not name.startswith(f"{UNUSED_STEM}.") and not name.endswith(BATCH_COUNTER)
    }
    heads = [name for name in HEAD_NAMES if f"{name}.weight" in arrays]
    assign_all(_official_bindings(model, [*heads, *HEAD_NAMES][0]), arrays, model.weights)


def to_official_state_dict(model: Any) -> dict[str, np.ndarray]:
    """Returns a TDN model's weights under the authors' names, in PyTorch's axis orders.

    The authors' convolution biases and batch counters are zeros, and the unused `conv1_temp` is a
    copy of the stem, so that their `load_state_dict` takes the result with `strict=True` (put
    `module.` in front of the names for a model in `DataParallel`).

    Args:
        model: A `keras_tdn.TDNResNet` with all of its temporal modules and its classifier.

    Returns:
        A dict from name to float32 array; the counters are int64.

    Raises:
        ValueError: if the model has no classifier.
    """
    state: dict[str, np.ndarray] = {}
    head = HEAD_NAMES[0] if model.dropout_rate else HEAD_NAMES[1]
    for binding in _official_bindings(model, head):
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
    """Returns the `TDNResNet` arguments that follow from the tensors' names and shapes."""
    # The number of segments is not among them: no tensor depends on it.
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


def _official_bindings(model: Any, head: str) -> Iterator[Binding]:
    if not model.include_top:
        raise ValueError(
            "The authors' state dict has a classifier: build the model with include_top=True and "
            "take its features by layer. Received: include_top=False"
        )
    network = model.structure
    yield from conv_bindings(network.stem, STEM, "base_model.bn1", biases=True)
    if network.motion is not None:
        yield from conv_bindings(network.motion.tdm, f"{MOTION_STEM}.0", f"{MOTION_STEM}.1")
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
    for ours, number in (
        ("squeeze", "1"),
        ("half_scale", "3_smallscale2"),
        ("full_scale", "3_smallscale4"),
        ("expand", "3"),
    ):
        pair = ConvNorm(getattr(layer, f"{ours}_conv"), getattr(layer, f"{ours}_norm"))
        yield from conv_bindings(pair, f"{theirs}.conv{number}", f"{theirs}.bn{number}")
    yield Binding(layer.smooth_conv.kernel, f"{theirs}.conv2.weight", Layout.DEPTHWISE)
