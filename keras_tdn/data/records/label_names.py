"""Class names from wherever they are kept, and which class a label in a list means."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from keras_tdn.data.records.rows import read_text
from keras_tdn.labels import DATASETS, load_labels

LabelSource = str | os.PathLike[str] | Sequence[str]

# UCF101's class index: a number and a name.
NUMBERED_NAME = re.compile(r"(\d+)\s+(\S.*)")
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
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{str(path)!r} is not JSON: line {error.lineno}: {error.msg}.") from error
    if isinstance(content, dict):
        try:
            by_index = {int(index): name for name, index in content.items()}
        except (TypeError, ValueError):
            by_index = {}
        if sorted(by_index) != list(range(len(content))):
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


def _read_numbered(path: Path) -> list[str] | None:
    """The names behind numbers, if every line has its own."""
    lines = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    matches = [NUMBERED_NAME.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2]) for match in matches if match is not None]
    numbers = [number for number, _ in pairs]
    if not lines or len(pairs) < len(lines) or numbers[0] not in (0, 1):
        return None
    consecutive = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return [name for _, name in pairs] if consecutive else None


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
