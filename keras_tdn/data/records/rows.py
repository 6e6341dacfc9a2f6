"""What every format is read into, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

# Everything that is wrong is counted, and this much of it shown.
MAX_PROBLEMS_SHOWN = 20

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
    first, because benchmarks list names and leave the layout to whoever fetches the videos.
    """

    place: str
    paths: tuple[str, ...]
    label: str | int | None
    num_frames: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A source's rows; the class names, if the format brings them along; and the default root."""

    rows: list[Row]
    names: tuple[str, ...] | None
    root: Path


class Problems:
    """Collects what is wrong, so that all of it is told at once."""

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
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", place)
    ]


def read_text(path: Path) -> str:
    """A file's text, without a byte-order mark, and with line ends of one kind."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"Lists are read as UTF-8 text, but {str(path)!r} has other bytes in line {line}. "
            "Save it as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, without surrounding blanks, numbered from 1."""
    # Not `splitlines`, which also splits at separators that a path could contain.
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def frame_count(text: str, place: str, problems: Problems) -> int | None:
    """A stated number of frames; blank if it is not stated."""
    if not text:
        return None
    # Some tools write whole numbers with a decimal point.
    whole = text[:-2] if text.endswith(".0") else text
    if whole.isascii() and whole.isdigit() and int(whole) > 0:
        return int(whole)
    problems.add(place, f"the number of frames must be a positive integer, but it is {text!r}")
    return None


def with_suffixes(path: str, *likely: str) -> tuple[str, ...]:
    """`path` and what it may be called if it lacks its suffix; the likely suffixes first."""
    if path.lower().endswith(VIDEO_SUFFIXES):
        return (path,)
    suffixes = dict.fromkeys((*likely, "", *VIDEO_SUFFIXES[:5]))
    return tuple(path + suffix for suffix in suffixes)
