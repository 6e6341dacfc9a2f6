"""Classes that change when a video is mirrored."""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from keras_tdn.data.records.rows import ClassNames, LabelSource
from keras_tdn.labels import load_labels

# Pairs of classes that exchange, by index or name.
Exchanges = Mapping[int | str, int | str] | Iterable[tuple[int | str, int | str]]

# Whole words only: "upright" and "leftover" stay. Words end at anything that is not a letter, so
# at underscores, and where CamelCase starts another word.
SIDE = re.compile(
    r"(?:(?<![^\W\d_])(?:left|right|Left|Right|LEFT|RIGHT)|(?<=[a-z])(?:Left|Right))"
    r"(?=(?:wards?|most|WARDS?|MOST)?(?:[\W\d_]|$)|(?<=[a-z])[A-Z])"
)
OTHER_SIDE = {"left": "right", "right": "left"}


def flip_map(labels: LabelSource, *, override: Exchanges | None = None) -> np.ndarray:
    """Derives the class of each class's mirrored videos from the class names.

    Use it with horizontal flips: a video of "Pushing something from left to right" shows "Pushing
    something from right to left" once flipped. The words left and right are exchanged in a name
    (as "leftward" and "rightmost" too, in any case); where that is the name of another class, the
    two exchange. Other words, such as clockwise and counterclockwise, are left to `override`.

    Args:
        labels: Class names in the order of the model's scores: a sequence, or whatever else
            `keras_tdn.labels.load_labels` reads.
        override: Pairs of classes that exchange, by index or name, instead of the derived ones: a
            mapping or pairs. An empty one switches the exchange off. To add to the derived pairs,
            pass `[*flip_pairs(labels), ...]`.

    Returns:
        Class indices, int32, of shape `(num_classes,)`: `flip_map(labels)[label]` is the class of
        the mirrored video, in a graph as `tf.gather(flip_map(labels), label)`.

    Raises:
        ValueError: if a pair names no class, or if a class is in two pairs.

    Example:

    >>> flip_map(["Turning left", "Waving", "Turning right"]).tolist()
    [2, 1, 0]
    >>> flip_map(["Turning left", "Waving", "Turning right"], override={}).tolist()
    [0, 1, 2]
    """
    names = load_labels(labels)
    pairs = flip_pairs(names) if override is None else _check_pairs(names, override)
    classes = np.arange(len(names), dtype=np.int32)
    for first, second in pairs:
        classes[[first, second]] = second, first
    return classes


def flip_pairs(labels: LabelSource) -> tuple[tuple[int, int], ...]:
    """Returns the pairs of class indices that `flip_map` derives, in ascending order.

    Example:

    >>> flip_pairs("something_something_v2")
    ((86, 87), (93, 94), (166, 167))
    """
    names = load_labels(labels)
    # A name that starts with the word has its case there, which its counterpart may lack.
    classes = ClassNames(names)
    targets = [classes.index(SIDE.sub(_exchange, name)) for name in names]
    return tuple(
        (number, target)
        for number, target in enumerate(targets)
        if target is not None and number < target and targets[target] == number
    )


def _exchange(side: re.Match[str]) -> str:
    word = side.group()
    other = OTHER_SIDE[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _check_pairs(names: Sequence[str], override: Exchanges) -> list[tuple[int, int]]:
    items = override.items() if isinstance(override, Mapping) else override
    try:
        given = [(first, second) for first, second in items]
    except (TypeError, ValueError):
        raise ValueError(
            "`override` is a mapping or a list of pairs of classes, such as "
            f"[(86, 87), (93, 94)]; an empty one switches the exchange off. Received: {override!r}"
        ) from None
    taken: dict[int, int] = {}
    for first_class, second_class in given:
        first, second = _class_index(names, first_class), _class_index(names, second_class)
        if taken.get(first, second) != second or taken.get(second, first) != first:
            raise ValueError(
                "A class can be exchanged with one other class only, but `override` has two for "
                f"{names[first]!r} ({first}) or {names[second]!r} ({second}). "
                f"Received: {override!r}"
            )
        taken[first], taken[second] = second, first
    return list(taken.items())


def _class_index(names: Sequence[str], given: int | str) -> int:
    if isinstance(given, str):
        if given in names:
            return names.index(given)
        reason = "there is no class of that name"
    else:
        reason = f"classes have the indices 0 to {len(names) - 1}"
        with contextlib.suppress(TypeError):
            if 0 <= operator.index(given) < len(names) and not isinstance(given, bool):
                return operator.index(given)
    raise ValueError(f"`override` pairs classes by index or name, but {reason}: {given!r}")
