"""What every format is read into: rows, their problems, and the classes that labels mean."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from keras_tdn.data.records.record import MAX_INT32, believable_classes
from keras_tdn.files.text import parse_json, read_text, shown, split_lines
from keras_tdn.labels import DATASETS, load_labels, not_a_name

# Everything that is wrong is counted, and this much of it shown.
MAX_PROBLEMS_SHOWN = 20
# Some tools write whole numbers with a decimal point. Python converts at least so many digits,
# however it is set up.
WHOLE_NUMBER = re.compile(r"[-+]?\d{1,600}(?:\.0)?")
# Nobody mistypes a longer name, and comparing it takes long.
MAX_SUGGESTED_LENGTH = 200

VIDEO_SUFFIXES = (
    ".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".gif",
    ".ogv", ".3gp", ".ts",
)  # fmt: skip
# Left out where lists and folders spell a class's name differently.
PUNCTUATION = re.compile(r"[\[\](){}\"'`]")

LabelSource = str | os.PathLike[str] | Sequence[str]
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One entry of a source, as it stands there; errors call it `place`.

    `paths` are where the video may lie below the root, the likeliest first; a row without them is a
    class that has no video. With a `doubt`, the label is one only if a class is called so.
    """

    place: str
    paths: tuple[str, ...]
    label: str | int | None
    num_frames: str | int | None = None
    doubt: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What a source lists, and where relative paths start by default.

    `names` are the class names in order, if the format brings them along. With `named`, text labels
    are names even where they look like numbers.
    """

    rows: list[Row]
    names: tuple[str, ...] | None
    root: Path
    named: bool = False


class BadRowError(Exception):
    """Says why an entry of a source is no row."""


def unlike(expected: str, found: str) -> BadRowError:
    """Returns the error for a line that is not as its format has it."""
    return BadRowError(f"expected {expected}, but it is {found!r:.200}")


class Problems:
    """Collects what is wrong, so that all of it is reported at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[tuple[str, str]] = []

    def add(self, place: str, reason: str) -> None:
        self.found.append((place, reason))

    def rows(
        self, items: Iterable[tuple[str, Item]], read: Callable[[str, Item], Row | None]
    ) -> list[Row]:
        """Returns the rows that `read` makes of items and their places; notes each bad one."""
        rows = []
        for place, item in items:
            try:
                rows.append(read(place, item))
            except BadRowError as error:
                self.add(place, str(error))
        return [row for row in rows if row is not None]

    def raise_if_any(self, hint: str = "") -> None:
        """Raises a `ValueError` that lists the problems, unless there are none."""
        if not self.found:
            return
        count = len(self.found)
        lines = [f"{self.source} has {count} problem{'s' if count > 1 else ''}:"]
        # Kinds of problems are found one after the other; a reader goes through the file.
        found = sorted(self.found, key=lambda problem: _natural_order(problem[0]))
        lines += [f"  {place}: {reason}" for place, reason in found[:MAX_PROBLEMS_SHOWN]]
        if count > MAX_PROBLEMS_SHOWN:
            lines.append(f"  and {count - MAX_PROBLEMS_SHOWN} more")
        if hint:
            lines.append(hint)
        raise ValueError("\n".join(lines))


def _natural_order(place: str) -> list[tuple[int, str]]:
    # As text of one length, because a place may have more digits than Python converts.
    return [
        (len(digits := part.lstrip("0")), digits) if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", place)
    ]


def placed_lines(text: str, file: str = "") -> list[tuple[str, str]]:
    """Returns the lines that are not blank, stripped, each after the place that errors call it."""
    lines = enumerate(map(str.strip, split_lines(text)), 1)
    return [(f"{file}line {number}", line) for number, line in lines if line]


def whole_number(text: str) -> int | None:
    """Returns the whole number that a text is, or `None` if it is none."""
    return int(text.removesuffix(".0")) if WHOLE_NUMBER.fullmatch(text) else None


def frame_count(row: Row, problems: Problems) -> int | None:
    """Returns the number of frames that a row states, if it does."""
    stated = row.num_frames
    if stated is None or stated == "":
        return None
    count = whole_number(stated) if isinstance(stated, str) else stated
    if count is not None and 0 < count <= MAX_INT32:
        return count
    reason = f"the number of frames must be a positive integer, but it is {stated!r:.200}"
    problems.add(row.place, reason)
    return None


def with_suffixes(path: str, *likely: str) -> tuple[str, ...]:
    """Returns `path`, and with suffixes if it lacks one, the likely ones first."""
    if path.lower().endswith(VIDEO_SUFFIXES):
        return (path,)
    return tuple(path + suffix for suffix in dict.fromkeys((*likely, "", *VIDEO_SUFFIXES[:5])))


# === Classes ===


def read_names(source: LabelSource) -> tuple[str, ...]:
    """Reads what `load_labels` reads, JSON of names and indices, and UCF101's numbered lines."""
    if isinstance(source, (str, os.PathLike)) and source not in DATASETS:
        path = Path(source)
        if path.is_file():
            if path.suffix.lower() == ".json":
                return _read_json(path)
            return load_labels(_read_numbered(path) or source)
    return load_labels(source)


def _read_json(path: Path) -> tuple[str, ...]:
    content = parse_json(read_text(path, "Labels"), repr(str(path)))
    if isinstance(content, dict):
        by_index = {
            whole_number(str(value).strip()) if isinstance(value, (str, int)) else None: name
            for name, value in content.items()
        }
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


def _read_numbered(path: Path) -> list[str] | None:
    """Returns the names behind numbers, if every line has the next one, from 0 or 1."""
    lines = [line.split(None, 1) for _, line in placed_lines(read_text(path, "Labels"))]
    numbers = [whole_number(words[0]) for words in lines if len(words) == 2]
    if numbers not in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return None
    return [name for _, name in lines]


class ClassNames:
    """Finds the class that a name means.

    Exactly the name comes first; then, where just one class fits, the name apart from case,
    brackets, quotation marks, and underscores in place of blanks, as folders and templates differ.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = {name: index for index, name in enumerate(names)}
        self._loose: dict[str, int | None] = {}
        for index, name in enumerate(names):
            key = _loosened(name)
            self._loose[key] = None if key in self._loose else index

    def index(self, name: str) -> int | None:
        return self._exact.get(name, self._loose.get(_loosened(name)))


def _loosened(name: str) -> str:
    return " ".join(PUNCTUATION.sub("", name).replace("_", " ").casefold().split())


def class_indices(
    listing: Listing,
    names: tuple[str, ...] | None,
    num_classes: int | None,
    problems: Problems,
    believe: bool,
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Returns the class of every row, and the names of the classes.

    Labels without a number among them are names, and if none are known, they are all there are.
    """
    rows = listing.rows
    labels = [row.label.strip() if isinstance(row.label, str) else row.label for row in rows]
    given = dict.fromkeys(label for label in labels if label is not None)
    numbers = {label: label if isinstance(label, int) else whole_number(label) for label in given}
    texts = [label for label in given if isinstance(label, str)]
    if listing.named or (names is not None and set(texts) <= set(names)):
        # Classes may be called by numbers, and then these come first.
        numbers.update(dict.fromkeys(texts))
    known = None if names is None else ClassNames(names)
    if known is None and set(numbers.values()) == {None}:
        known = ClassNames(sorted(text for text in texts if not not_a_name(text)))
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
        elif index < 0 or (count is not None and index >= count):
            limits = "from 0" if count is None else f"0 to {count - 1}"
            meanings[label] = f"the label {shown(index)} is not a class: they are numbered {limits}"
            if index == count and 0 not in given and "0" not in given:
                meanings[label] = f"{meanings[label]}, and this list seems to count from 1"
        elif count is None and not believe and index >= believable:
            meanings[label] = (
                f"with the label {shown(index)} there would be {shown(index + 1)} classes, out of "
                f"proportion to the {len(given)} labels that occur; pass `num_classes` (on the "
                "command line --classes) if there are so many"
            )
        else:
            meanings[label] = index

    indices: list[int | None] = []
    for row, stated in zip(rows, labels, strict=True):
        meaning = None if stated is None else meanings[stated]
        if row.doubt and (names is None or stated not in names):
            meaning = row.doubt
        if isinstance(meaning, str):
            problems.add(row.place, meaning)
            meaning = None
        elif meaning is None and given:
            problems.add(row.place, "there is no label, unlike in other lines")
        indices.append(meaning)
    return indices, None if known is None else known.names or None


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
