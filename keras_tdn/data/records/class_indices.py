"""Class names, and the class indices of labels as they stand in a source."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tdn.data.records.record import believable_classes
from keras_tdn.data.records.rows import MAX_PROBLEMS_SHOWN, Problems, Row, whole_number
from keras_tdn.files.text import parse_json, read_text, shown, split_lines
from keras_tdn.labels import DATASETS, load_labels, not_a_name

LabelSource = str | os.PathLike[str] | Sequence[str]

# Left out where lists and folders spell a class's name differently.
PUNCTUATION = re.compile(r"[\[\](){}\"'`]")


def read_names(source: LabelSource) -> tuple[str, ...]:
    """Reads class names in order: what `load_labels` reads, and the data sets' own files.

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
    """Returns the names behind numbers, if every line has its own."""
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
        """Returns the class's index, or `None` if there is no such class."""
        exact = self._exact.get(name)
        return self._loose.get(_loosened(name)) if exact is None else exact


def _loosened(name: str) -> str:
    return " ".join(PUNCTUATION.sub("", name).replace("_", " ").casefold().split())


# Nobody mistypes a longer one, and comparing it takes long.
MAX_SUGGESTED_LENGTH = 200


def class_indices(
    rows: list[Row],
    names: tuple[str, ...] | None,
    num_classes: int | None,
    problems: Problems,
    named: bool = False,
    believe: bool = False,
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Returns every row's class, and the names of the classes if there are any.

    Labels without a number among them are names, and if none are known, they are all there are.

    Args:
        rows: What a source lists.
        names: Class names, if they are known.
        num_classes: Number of classes, if it is known.
        problems: Takes labels that are no class.
        named: Whether text is a name even if it looks like a number.
        believe: Whether a label may be out of proportion to the list.
    """
    given = dict.fromkeys(label for row in rows if (label := _label(row)) is not None)
    numbers = {label: label if isinstance(label, int) else whole_number(label) for label in given}
    texts = [label for label in given if isinstance(label, str)]
    if named or (names is not None and set(texts) <= set(names)):
        # Classes may be called by numbers, and then these come first.
        numbers.update(dict.fromkeys(texts))
    known = None if names is None else ClassNames(names)
    if given and known is None and not any(number is not None for number in numbers.values()):
        known = ClassNames(tuple(sorted(text for text in texts if not not_a_name(text))))
    count = num_classes if known is None else len(known.names)
    believable = believable_classes(len(set(numbers.values())))

    meanings: dict[str | int, int | str] = {}
    unknown = 0
    for label, number in numbers.items():
        index = known.index(str(label)) if known and number is None else number
        if index is None:
            unknown += 1
            # Looking for a close name takes long, and more are not shown.
            meanings[label] = _unknown(str(label), known, unknown <= MAX_PROBLEMS_SHOWN)
        elif count is not None and not 0 <= index < count:
            meanings[label] = (
                f"the label {shown(index)} is not a class: they are numbered 0 to {count - 1}"
            )
            if index == count and 0 not in given and "0" not in given:
                meanings[label] = f"{meanings[label]}, and this list seems to count from 1"
        elif index < 0:
            meanings[label] = f"the label {shown(index)} is not a class: they are numbered from 0"
        elif count is None and not believe and index >= believable:
            meanings[label] = (
                f"with the label {shown(index)} there would be {shown(index + 1)} classes, out of "
                f"proportion to the {len(given)} labels that occur; pass `num_classes` (on the "
                "command line --classes) if there are so many"
            )
        else:
            meanings[label] = index

    indices: list[int | None] = []
    for row in rows:
        label = _label(row)
        meaning = None if label is None else meanings[label]
        if row.doubt and (names is None or label not in names):
            meaning = row.doubt
        if isinstance(meaning, str):
            problems.add(row.place, meaning)
            meaning = None
        elif meaning is None and given:
            problems.add(row.place, "there is no label, unlike in other lines")
        indices.append(meaning)
    return indices, None if known is None else known.names or None


def _label(row: Row) -> str | int | None:
    return row.label.strip() if isinstance(row.label, str) else row.label


def _unknown(label: str, known: ClassNames | None, suggest: bool) -> str:
    reason = not_a_name(label)
    if reason:
        return f"the label is no class name: {reason}"
    if known is None:
        return (
            f"the label {label!r:.200} is not a number, as others in this list are; pass `labels` "
            "if classes are called by numbers"
        )
    suggest = suggest and len(label) <= MAX_SUGGESTED_LENGTH
    close = difflib.get_close_matches(label, known.names, 1) if suggest else []
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    return f"there is no class {label!r:.200} among the {len(known.names)} labels{suggestion}"
