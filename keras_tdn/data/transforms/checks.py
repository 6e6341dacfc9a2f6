"""Errors that the constructors of several transforms share."""

from __future__ import annotations

import math
import numbers
from typing import Any


def check_positive_integers(transform: Any, *fields: str) -> None:
    """Raises a `ValueError` unless the fields are integers of at least 1."""
    for field in fields:
        value = getattr(transform, field)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(
                f"{type(transform).__name__} needs a positive integer for `{field}`. "
                f"Received: {field}={value!r}"
            )


def check_number(transform: Any, field: str, low: float, high: float) -> None:
    """Raises a `ValueError` unless the field is a number in [low, high]."""
    value = getattr(transform, field)
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not low <= float(value) <= high
    ):
        raise ValueError(
            f"{type(transform).__name__} needs a number from {low} to {high} for `{field}`. "
            f"Received: {field}={value!r}"
        )


def check_range(transform: Any, field: str, low: float, high: float) -> None:
    """Raises a `ValueError` unless the field is `(lowest, highest)`, in order, in (low, high]."""
    value = getattr(transform, field)
    valid = isinstance(value, (tuple, list)) and len(value) == 2
    if valid:
        valid = all(
            isinstance(end, numbers.Real) and not isinstance(end, bool) and math.isfinite(end)
            for end in value
        )
    if not valid or not low < value[0] <= value[1] <= high:
        raise ValueError(
            f"{type(transform).__name__} needs two numbers (lowest, highest) above {low} and at "
            f"most {high} for `{field}`. Received: {field}={value!r}"
        )
    object.__setattr__(transform, field, tuple(float(end) for end in value))
