"""Lists with one video per line: the authors', and Something-Something V1's."""

from __future__ import annotations

import re
from pathlib import Path

from keras_tdn.data.records.rows import (
    VIDEO_SUFFIXES,
    Listing,
    Problems,
    Row,
    frame_count,
    numbered_lines,
    with_suffixes,
)
from keras_tdn.data.records.tables import split_line

SUFFIX_PATTERN = "|".join(re.escape(suffix) for suffix in VIDEO_SUFFIXES)
# Where a line names a video file, its suffix tells where the path ends, whatever blanks it has.
VIDEO_LINE = re.compile(rf"(.+(?:{SUFFIX_PATTERN}))(?:\s+(.+))?", re.IGNORECASE)
COUNT_AND_LABEL = re.compile(r"(-?\d+)\s+(.+)")
# Of a line that does not, the last word is the label, and a number before it the frame count.
FOLDER_WITH_COUNT = re.compile(r"(.+?)\s+(-?\d+)\s+(\S+)")
FOLDER_WITHOUT_COUNT = re.compile(r"(.+?)\s+(\S+)")


def read_list(path: Path, text: str, problems: Problems) -> Listing:
    """`folder num_frames label` or `video label`, separated by blanks, tabs or commas.

    The authors list videos without their suffix as well. A line without a label is a video whose
    class is not known.
    """
    lines = numbered_lines(text)
    separator = _separator(path, [line for _, line in lines])
    if separator is not None:
        rows = [_separated_row(number, line, separator, problems) for number, line in lines]
    else:
        with_count = _mostly_with_count([line for _, line in lines])
        rows = [_blank_row(number, line, with_count, problems) for number, line in lines]
    return Listing([row for row in rows if row is not None], None, path.parent)


def read_something_v1(path: Path, text: str, problems: Problems) -> Listing:
    """`id;label` without a header, as Something-Something V1 and Jester are published.

    The test lists have the `id` alone. The videos are published as folders of frames.
    """
    rows = []
    for number, line in numbered_lines(text):
        video, _, label = (part.strip() for part in line.partition(";"))
        if video:
            paths = with_suffixes(video, "", ".webm")
            rows.append(Row(f"line {number}", paths, label or None))
        else:
            problems.add(f"line {number}", f"expected `id;label`, but it is {line!r}")
    return Listing(rows, None, path.parent)


def _separator(path: Path, lines: list[str]) -> str | None:
    if lines and all("\t" in line for line in lines):
        return "\t"
    # In a text file a comma is more likely part of a name.
    if path.suffix.lower() == ".csv" and lines and all("," in line for line in lines):
        return ","
    return None


def _separated_row(number: int, line: str, separator: str, problems: Problems) -> Row | None:
    place = f"line {number}"
    fields = split_line(line, separator)
    if len(fields) not in (2, 3) or not all(fields):
        problems.add(place, f"expected `path label` or `path num_frames label`, but it is {line!r}")
        return None
    count = frame_count(fields[1], place, problems) if len(fields) == 3 else None
    return Row(place, with_suffixes(fields[0]), fields[-1], count)


def _mostly_with_count(lines: list[str]) -> bool:
    """Whether lines that name folders state frame counts: one list is all of one kind."""
    folders = [line for line in lines if VIDEO_LINE.fullmatch(line) is None]
    return 2 * sum(FOLDER_WITH_COUNT.fullmatch(line) is not None for line in folders) > len(folders)


def _blank_row(number: int, line: str, with_count: bool, problems: Problems) -> Row | None:
    place = f"line {number}"
    count: str = ""
    label: str | None = None
    if video := VIDEO_LINE.fullmatch(line):
        path, label = video.groups()
        if label is not None and (stated := COUNT_AND_LABEL.fullmatch(label)):
            count, label = stated.groups()
    elif with_count:
        folder = FOLDER_WITH_COUNT.fullmatch(line)
        if folder is None:
            problems.add(
                place, f"expected `folder num_frames label`, as in most lines, but it is {line!r}"
            )
            return None
        path, count, label = folder.groups()
    elif folder := FOLDER_WITHOUT_COUNT.fullmatch(line):
        path, label = folder.groups()
    else:
        path = line
    return Row(place, with_suffixes(path), label, frame_count(count, place, problems))
