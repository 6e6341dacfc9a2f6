"""Filling variables from named arrays: every array used, every variable filled, or nothing done."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

MAX_LISTED = 20


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
        "not finite": [
            name for name in names if name in arrays and not np.all(np.isfinite(arrays[name]))
        ],
    }
    lines = [_listed(title, entries) for title, entries in problems.items() if entries]
    if lines:
        raise ValueError(
            "The weights do not fit the model, and no variable was changed.\n" + "\n".join(lines)
        )
    for binding in bindings:
        binding.variable.assign(binding.value(arrays))


def _listed(title: str, entries: list[str]) -> str:
    shown = entries[:MAX_LISTED]
    more = len(entries) - len(shown)
    return f"  {title} ({len(entries)}): " + ", ".join(shown) + (f", and {more} more" * (more > 0))
