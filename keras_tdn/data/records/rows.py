"""Rows that every format is read into, and the problems found in them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from keras_tdn.data.records.record import MAX_INT32
from keras_tdn.files.text import split_lines

# Everything that is wrong is counted, and this much of it shown.
MAX_PROBLEMS_SHOWN = 20
# Python converts at least so many, however it is set up.
MAX_DIGITS = 600

VIDEO_SUFFIXES = (
    ".mp4",
    ".webm",
    ".avi",
    ".mkv",
    ".mov",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".gif",
    ".ogv",
    ".3gp",
    ".ts",
)
IMAGE_SUFFIXES = (".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One entry of a source, as it stands there.

    `place` is how errors call it. `paths` are where the video may lie below the root, the likeliest
    first, because benchmarks list names and leave the layout to whoever fetches the videos. `doubt`
    says why the label is taken for one only if a class is known to be called so.
    """

    place: str
    paths: tuple[str, ...]
    label: str | int | None
    num_frames: int | None = None
    doubt: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What a source lists.

    Args:
        rows: Its rows.
        names: The class names in order, if the format brings them along.
        root: Where relative paths start by default.
        named: Whether text labels are names even where they look like numbers.
        without_video: Rows that have no path: classes that the source has no video of.
    """

    rows: list[Row]
    names: tuple[str, ...] | None
    root: Path
    named: bool = False
    without_video: tuple[Row, ...] = ()


class Problems:
    """Collects what is wrong, so that all of it is reported at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[tuple[str, str]] = []

    def add(self, place: str, reason: str) -> None:
        """Notes that `reason` holds at `place`."""
        self.found.append((place, reason))

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


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """Returns the lines that are not blank, stripped, numbered from 1."""
    lines = ((number, line.strip()) for number, line in enumerate(split_lines(text), 1))
    return [(number, line) for number, line in lines if line]


def whole_number(text: str) -> int | None:
    """Returns the whole number that a text is, or `None` if it is none.

    Some tools write whole numbers with a decimal point.
    """
    digits = text.removesuffix(".0").lstrip("+-")
    if not digits.isdecimal() or len(digits) > MAX_DIGITS:
        return None
    try:
        return int(text.removesuffix(".0"))
    except ValueError:
        # Several signs.
        return None


def frame_count(text: str, place: str, problems: Problems) -> int | None:
    """Reads a stated number of frames, which may be blank."""
    if not text:
        return None
    count = whole_number(text)
    if count is not None and 0 < count <= MAX_INT32:
        return count
    problems.add(place, f"the number of frames must be a positive integer, but it is {text!r:.200}")
    return None


def with_suffixes(path: str, *likely: str) -> tuple[str, ...]:
    """Returns `path`, and with suffixes if it lacks one, the likely ones first."""
    if path.lower().endswith(VIDEO_SUFFIXES):
        return (path,)
    suffixes = dict.fromkeys((*likely, "", *VIDEO_SUFFIXES[:5]))
    return tuple(path + suffix for suffix in suffixes)
