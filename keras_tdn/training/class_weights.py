"""Weights of classes in the loss."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from keras_tdn.data.records import RecordList

BALANCED = "balanced"


def class_weights(
    records: RecordList, weights: str | Mapping[int, float] | None, classes: int
) -> dict[int, float] | None:
    """The `class_weight` that `fit` takes.

    Use it where some classes have far more videos than others. With `"balanced"` every class that
    there is counts alike, and the mean over the videos is 1.

    Args:
        records: The training set.
        weights: `"balanced"`, a mapping of class indices to positive weights (1 where there is
            none), or `None`.
        classes: Number of classes.

    Returns:
        A weight for each class, or `None`.

    Raises:
        ValueError: if `weights` is none of these.

    Example:

    >>> records = load_records([("a.mp4", 0), ("b.mp4", 0), ("c.mp4", 1)], check_files=False)
    >>> class_weights(records, "balanced", classes=2)
    {0: 0.75, 1: 1.5}
    """
    if weights is None:
        return None
    if weights == BALANCED:
        counts = Counter(record.label for record in records)
        return {
            index: len(records) / (len(counts) * counts[index]) if counts[index] else 1.0
            for index in range(classes)
        }
    if not isinstance(weights, Mapping) or not all(
        _is_weight(index, weight, classes) for index, weight in weights.items()
    ):
        raise ValueError(
            f"Class weights are {BALANCED!r}, or a mapping of class indices from 0 to "
            f"{classes - 1} to positive numbers. Received: {weights!r:.200}"
        )
    # Keras takes the highest index for the number of classes.
    return {index: float(weights.get(index, 1.0)) for index in range(classes)}


def _is_weight(index: object, weight: object, classes: int) -> bool:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < classes:
        return False
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return bool(number and math.isfinite(weight) and weight > 0)  # type: ignore[arg-type, operator]
