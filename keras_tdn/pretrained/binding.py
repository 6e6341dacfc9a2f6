"""Filling variables from named arrays: all arrays used and all variables filled, or none."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_tdn.models.network_structure import Bottleneck, ConvNorm

MAX_LISTED = 20
WHAT = "The weights"


class Layout(enum.Enum):
    """A kind of weight; the value is the permutation from PyTorch's axis order to Keras'."""

    CONV = (2, 3, 1, 0)
    DEPTHWISE = (2, 3, 0, 1)
    # (channels, 1, taps) to (taps, channels); the axis of size 1 goes.
    TEMPORAL = (2, 0, 1)
    DENSE = (1, 0)
    VECTOR = (0,)

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        array = np.transpose(array, self.value)
        return array[..., 0] if self is Layout.TEMPORAL else array

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        array = array[..., None] if self is Layout.TEMPORAL else array
        return np.transpose(array, np.argsort(self.value))

    def torch_shape(self, keras_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = (*keras_shape, 1) if self is Layout.TEMPORAL else keras_shape
        return tuple(shape[axis] for axis in np.argsort(self.value))


@dataclasses.dataclass(frozen=True)
class Binding:
    """One Keras variable and the array that it is filled from.

    Attributes:
        variable: The Keras variable.
        name: The array's name.
        layout: The array's axis order.
        subtract: Name of a second array to take off: a convolution's bias, which merges into the
            moving mean of the batch norm behind it.
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
        return self.layout.torch_shape(tuple(self.variable.shape))

    def value(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        value = np.asarray(arrays[self.name], np.float64)
        if self.subtract is not None:
            value = value - np.asarray(arrays[self.subtract], np.float64)
        return self.layout.to_keras(value)


def bottleneck_bindings(block: Bottleneck, theirs: str, biases: bool = False) -> Iterator[Binding]:
    """Binds the convolutions and batch norms of a block to torchvision's names.

    Args:
        block: The block.
        theirs: How its names start.
        biases: Whether the arrays have a bias for each convolution.
    """
    for part, conv in enumerate(block.convs, start=1):
        yield from conv_bindings(conv, f"{theirs}.conv{part}", f"{theirs}.bn{part}", biases)
    if block.shortcut is not None:
        names = f"{theirs}.downsample.0", f"{theirs}.downsample.1"
        yield from conv_bindings(block.shortcut, *names, biases)


def conv_bindings(
    layers: ConvNorm, conv: str, norm: str, biases: bool = False
) -> Iterator[Binding]:
    """Binds a convolution and its batch norm to PyTorch's names."""
    yield Binding(layers.conv.kernel, f"{conv}.weight", Layout.CONV)
    yield from norm_bindings(layers.norm, norm, f"{conv}.bias" if biases else None)


def norm_bindings(layer: Any, theirs: str, merged_bias: str | None = None) -> Iterator[Binding]:
    """Binds a batch norm to PyTorch's names.

    Args:
        layer: The batch norm.
        theirs: How its names start.
        merged_bias: The bias of the convolution in front of it.
    """
    yield Binding(layer.gamma, f"{theirs}.weight", Layout.VECTOR)
    yield Binding(layer.beta, f"{theirs}.bias", Layout.VECTOR)
    yield Binding(layer.moving_mean, f"{theirs}.running_mean", Layout.VECTOR, merged_bias)
    yield Binding(layer.moving_variance, f"{theirs}.running_var", Layout.VECTOR)


def assign_all(
    bindings: Iterable[Binding], arrays: Mapping[str, np.ndarray], variables: Iterable[Any]
) -> None:
    """Assigns every binding, after checking that nothing is missing, left over or misshapen.

    Raises:
        ValueError: listing every array that is missing, left over, misshapen or not finite, and
            every variable that no array would fill. No variable has been changed then.
    """
    bindings = list(bindings)
    names = [name for binding in bindings for name in binding.names]
    bound = {id(binding.variable) for binding in bindings}
    problems = {
        "missing from the file": [name for name in names if name not in arrays],
        "left over (the model has no place for them)": sorted(set(arrays) - set(names)),
        "variables that nothing fills": [
            variable.path for variable in variables if id(variable) not in bound
        ],
        "of another shape": [
            f"{name} {tuple(arrays[name].shape)}, the model needs {binding.shape}"
            for binding in bindings
            for name in binding.names
            if name in arrays and tuple(arrays[name].shape) != binding.shape
        ],
        "no real numbers": [
            f"{name} of type {arrays[name].dtype}"
            for name in names
            if name in arrays and not is_real(arrays[name].dtype)
        ],
        "not finite": [
            name
            for name in names
            if name in arrays
            and is_real(arrays[name].dtype)
            and not np.all(np.isfinite(arrays[name]))
        ],
    }
    check_problems(WHAT, problems)
    assign_checked(WHAT, ((b.variable, b.name, b.value(arrays)) for b in bindings))


def assign_checked(what: str, values: Iterable[tuple[Any, str, np.ndarray]]) -> None:
    """Assigns arrays to variables, after checking that each is finite in the variable's precision.

    Args:
        what: What is assigned, as the beginning of a sentence.
        values: Variables, what to call their arrays in the message, and the arrays.
    """
    ready: list[tuple[Any, np.ndarray]] = []
    broken: list[str] = []
    for variable, name, array in values:
        value = _cast(array, variable.dtype)
        if not np.all(np.isfinite(value)):
            finite = np.all(np.isfinite(array))
            broken.append(f"{name} (too large for {variable.dtype})" if finite else name)
        ready.append((variable, value))
    check_problems(what, {"not finite": broken})
    for variable, value in ready:
        variable.assign(value)


def check_problems(what: str, problems: Mapping[str, list[str]], fix: str = "") -> None:
    """Raises a `ValueError` that lists all problems, if there are any.

    Args:
        what: What does not fit the model, as the beginning of a sentence.
        problems: Kinds of problems and the names that have them.
        fix: What to do about it.
    """
    lines = [_listed(title, entries) for title, entries in problems.items() if entries]
    if lines:
        first = f"{what} do not fit the model, and no variable was changed."
        raise ValueError("\n".join([first, *lines, *([fix] if fix else [])]))


def is_real(dtype: np.dtype) -> bool:
    """Whether numbers of a type are weights: floats of at least 16 bits."""
    # NumPy itself does not know bfloat16.
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _listed(title: str, entries: list[str]) -> str:
    more = len(entries) - MAX_LISTED
    listed = ", ".join(entries[:MAX_LISTED]) + (f", and {more} more" if more > 0 else "")
    return f"  {title} ({len(entries)}): {listed}"


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
    import ml_dtypes

    target = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    # Infinity is what is looked for.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array).astype(target, copy=False)
