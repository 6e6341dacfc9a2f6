"""Random integers that are the same in NumPy and in a TensorFlow graph."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np

# SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
# The state only counts upwards, so that the i-th draw is computed without the ones before it; and
# 64-bit products, sums and shifts give equal bits everywhere, which TensorFlow's own generators
# promise only within TensorFlow.
STEP = 0x9E3779B97F4A7C15
MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT = 31


def array_module(*values: Any) -> Any:
    """Returns `tensorflow` if one of the values is its tensor, else `numpy`; imports neither."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and any(tensorflow.is_tensor(value) for value in values):
        return tensorflow
    return np


def cast(ops: Any, value: Any, dtype: str) -> Any:
    """Returns `value` as `dtype`; unsigned types wrap around."""
    return np.asarray(value).astype(dtype) if ops is np else ops.cast(value, dtype)


def draw_below(ops: Any, bounds: Any, seed: Any, shape: tuple[int, ...]) -> Any:
    """Draws int64 from 0 to `bounds - 1`, each equally likely up to one part in `2**32 / bounds`.

    The first draws do not depend on how many follow. `ops` is what `array_module` gave; `bounds`,
    up to `2**31`, broadcast to `shape`. A seed is a pair of integers, or `n` for `(n, 0)`.
    """
    steps = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(STEP)
    # Both halves of the seed reach every bit of where the stream starts.
    first, second = _pair(ops, seed)
    key = _mix(_mix(first + np.uint64(STEP)) + second + np.uint64(STEP))
    bits = _mix(steps + key) // np.uint64(2**32)
    return cast(ops, ops.reshape(bits, shape), "int64") * cast(ops, bounds, "int64") // 2**32


def _mix(bits: Any) -> Any:
    # Dividing unsigned numbers is the shift that both libraries have an operator for.
    for shift, factor in MIXERS:
        bits = (bits ^ (bits // np.uint64(2**shift))) * np.uint64(factor)
    return bits ^ (bits // np.uint64(2**LAST_SHIFT))


def _pair(ops: Any, seed: Any) -> tuple[Any, Any]:
    """Returns two arrays of shape `(1,)`, because NumPy warns of wrapping in scalars only."""
    if array_module(seed) is not np:
        is_pair = seed.shape.is_compatible_with((2,))
        if not seed.dtype.is_integer or not (is_pair or seed.shape.rank == 0):
            raise _seed_error(seed)
        if not is_pair:
            seed = ops.stack([seed, ops.zeros_like(seed)])
        halves = ops.cast(ops.ensure_shape(seed, (2,)), "uint64")
        return halves[:1], halves[1:]
    try:
        numbers = [seed, 0] if np.ndim(seed) == 0 else list(seed)
        if len(numbers) != 2 or any(isinstance(number, (bool, np.bool_)) for number in numbers):
            raise TypeError
        # As two's complement, however long: the same bits that a tensor's cast gives.
        halves = np.array([operator.index(number) % 2**64 for number in numbers], np.uint64)
    except (TypeError, ValueError):
        raise _seed_error(seed) from None
    halves = halves if ops is np else ops.constant(halves)
    return halves[:1], halves[1:]


def _seed_error(seed: Any) -> ValueError:
    return ValueError(
        "A seed is an integer or a pair of integers, for example (epoch, record.index). "
        f"Received: seed={seed!r}"
    )
