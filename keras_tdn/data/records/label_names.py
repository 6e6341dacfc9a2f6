"""Class names from wherever they are kept, and which class a label in a list means."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tdn.data.records.rows import whole_number
from keras_tdn.files.text import parse_json, read_text, split_lines
from keras_tdn.labels import DATASETS, load_labels

LabelSource = str | os.PathLike[str] | Sequence[str]

# Left out where lists and folders spell a class's name differently.
PUNCTUATION = re.compile(r"[\[\](){}\"'`]")


def read_names(source: LabelSource) -> tuple[str, ...]:
    """Class names in order: what `load_labels` reads, and the data sets' own files.

    Those are Something-Something's `labels.json`, which maps names to indices, and UCF101's
    `classInd.txt`, whose lines are numbered.
    """
    if isinstance(source, (str, os.PathLike)) and source not in DATASETS:
        path = Path(source)
        if path.is_file():
            if path.suffix.lower() == ".json":
                return _read_json(path)
            numbered = _read_numbered(path)
            if numbered is not None:
                return load_labels(numbered)
    return load_labels(source)


def _read_json(path: Path) -> tuple[str, ...]:
    content = parse_json(read_text(path, "Labels"), repr(str(path)))
    if isinstance(content, dict):
        by_index = {_index(value): name for name, value in content.items()}
        if by_index.keys() != set(range(len(content))):
            raise ValueError(
                "Labels as a JSON object map every name to its index, counted from 0, but the "
                f"values in {str(path)!r} are not the numbers 0 to {len(content) - 1}."
            )
        content = [by_index[index] for index in range(len(by_index))]
    if not isinstance(content, list):
        raise ValueError(
            "Labels in JSON are an object that maps names to indices, or a list of names. "
            f"{str(path)!r} holds a {type(content).__name__}."
        )
    return load_labels(content)


def _index(value: Any) -> int | None:
    if isinstance(value, str):
        return whole_number(value.strip())
    # Nor a number with a fraction, nor one that is none.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_numbered(path: Path) -> list[str] | None:
    """The names behind numbers, if every line has its own."""
    lines = [line.strip() for line in split_lines(read_text(path, "Labels"))]
    names: list[str] = []
    first = None
    for line in filter(None, lines):
        number, *name = line.split(None, 1)
        index = whole_number(number) if number.isdecimal() else None
        first = index if first is None else first
        if first not in (0, 1) or not name or index != first + len(names):
            return None
        names += name
    return names or None


class ClassNames:
    """Finds the class that a name means.

    Exactly the name comes first; then, where just one class fits, the name apart from case,
    brackets, quotation marks, and underscores in place of blanks: data sets are handed on in
    folders called `riding_a_bike`, and Something-Something puts brackets into its templates.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = {name: index for index, name in enumerate(names)}
        self._loose: dict[str, int | None] = {}
        for index, name in enumerate(names):
            key = _loosened(name)
            self._loose[key] = None if key in self._loose else index

    def index(self, name: str) -> int | None:
        """The class's index, or `None` if there is no such class."""
        exact = self._exact.get(name)
        return self._loose.get(_loosened(name)) if exact is None else exact


def _loosened(name: str) -> str:
    return " ".join(PUNCTUATION.sub("", name).replace("_", " ").casefold().split())
