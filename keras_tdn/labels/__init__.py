"""Class names: of the data sets, from a file, or as given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_tdn.files.text import is_text, read_text, split_lines

__all__ = ["DATASETS", "load_labels"]

# The lists follow the indices that the authors' annotation scripts give: all but one are sorted by
# code point. Something-Something V1 is published unsorted and sorted by those scripts; both
# versions then hold the same names, written without the brackets around "something". UCF101 keeps
# the numbers of its own class index, which ignores case (Hammering before HammerThrow).
DATASETS = ("hmdb51", "kinetics400", "something_something_v1", "something_something_v2", "ucf101")


def load_labels(source: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    """Loads class names in the order of a model's scores.

    Use it to name scores, or to give a model of your own its labels.

    Args:
        source: A data set's name: `"hmdb51"`, `"kinetics400"`, `"something_something_v1"`,
            `"something_something_v2"` or `"ucf101"`; or the path of a UTF-8 text file with one name
            per line; or the names themselves. A file that is called like a data set is reached as
            `"./NAME"`.

    Raises:
        ValueError: if there is no such data set or file, or if a name is empty or occurs twice.

    Example:

    >>> load_labels("kinetics400")[17]
    'bee keeping'
    """
    if isinstance(source, str) and source in DATASETS:
        import importlib.resources

        resource = importlib.resources.files("keras_tdn.labels").joinpath(f"{source}.txt")
        return _parse(resource.read_text("utf-8"), f"the labels of {source}")
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.exists():
            raise ValueError(
                f"There are no labels called {str(path)!r}: it is neither a file nor one of the "
                f"data sets {', '.join(DATASETS)}."
            )
        return _parse(read_text(path, "Labels"), repr(str(path)))
    if isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        names = tuple(source)
        for number, name in enumerate(names):
            if not isinstance(name, str):
                raise ValueError(
                    f"Labels are strings. Received: {type(name).__name__} as item {number}"
                )
        return _check([name.strip() for name in names], "the labels", "item", start=0)
    raise ValueError(
        "Labels are a data set's name, the path of a text file, or a sequence of strings. "
        f"Received: {type(source).__name__}"
    )


def not_a_name(name: str) -> str:
    """Returns why a stripped text cannot be the name of a class; empty if it can.

    Names are written to text files with one per line, and to JSON.
    """
    if not name:
        return "it is empty"
    if not is_text(name):
        return f"{name!r:.200} is not UTF-8 text"
    if any(character in name for character in "\r\n\0"):
        return f"{name!r:.200} is more than one line, or has a null character"
    return ""


def _parse(text: str, origin: str) -> tuple[str, ...]:
    lines = [line.strip() for line in split_lines(text)]
    if lines[-1] == "":
        lines.pop()
    return _check(lines, origin, "line", start=1)


def _check(names: Iterable[str], origin: str, unit: str, start: int) -> tuple[str, ...]:
    first_seen: dict[str, int] = {}
    for number, name in enumerate(names, start):
        if not name:
            raise ValueError(
                f"Every class needs a name, but {unit} {number} of {origin} is empty. Remove it or "
                "name it."
            )
        reason = not_a_name(name)
        if reason:
            raise ValueError(f"{unit} {number} of {origin} is no class name: {reason}.")
        if name in first_seen:
            raise ValueError(
                f"Every class needs a name of its own, but {name!r} is both {unit} "
                f"{first_seen[name]} and {unit} {number} of {origin}."
            )
        first_seen[name] = number
    if not first_seen:
        raise ValueError(f"There has to be at least one label, but there is none in {origin}.")
    return tuple(first_seen)
