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

# Where a line names a video file, its suffix tells where the path ends, whatever blanks it has.
# These expressions look at each character once: a line may have any number of blanks.
PATH_END = re.compile(
    rf"(?<=.)(?:{'|'.join(re.escape(suffix) for suffix in VIDEO_SUFFIXES)})(?!\S)", re.IGNORECASE
)
COUNT = re.compile(r"-?\d+")
# Of frames or seconds, or a time such as 0:01:30.5.
NUMBER = re.compile(r"[-+]?\d+(?:[.:]\d+)*")


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
            problems.add(f"line {number}", f"expected `id;label`, but it is {line!r:.200}")
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
        problems.add(
            place, f"expected `path label` or `path num_frames label`, but it is {line!r:.200}"
        )
        return None
    count = frame_count(fields[1], place, problems) if len(fields) == 3 else None
    return Row(place, with_suffixes(fields[0]), fields[-1], count)


def _path_end(line: str) -> int | None:
    """Where the path of a line that names a video file ends; `None` if it names a folder."""
    end = None
    for match in PATH_END.finditer(line):
        end = match.end()
    return end


def _has_count(words: list[str]) -> bool:
    return len(words) == 3 and COUNT.fullmatch(words[1]) is not None


def _mostly_with_count(lines: list[str]) -> bool:
    """Whether lines that name folders state frame counts: one list is all of one kind."""
    folders = [line for line in lines if _path_end(line) is None]
    return 2 * sum(_has_count(line.rsplit(None, 2)) for line in folders) > len(folders)


def _blank_row(number: int, line: str, with_count: bool, problems: Problems) -> Row | None:
    place = f"line {number}"
    end = _path_end(line)
    if end is not None:
        return _video_row(place, line[:end], line[end:].strip(), problems)
    if not with_count:
        path, *rest = line.rsplit(None, 1)
        return Row(place, with_suffixes(path), rest[0] if rest else None)
    words = line.rsplit(None, 2)
    if not _has_count(words):
        problems.add(
            place, f"expected `folder num_frames label`, as in most lines, but it is {line!r:.200}"
        )
        return None
    path, count, label = words
    return Row(place, with_suffixes(path), label, frame_count(count, place, problems))


def _video_row(place: str, path: str, rest: str, problems: Problems) -> Row:
    count = ""
    label = rest
    words = rest.split(None, 1)
    if len(words) == 2 and COUNT.fullmatch(words[0]):
        count, label = words
    doubt = ""
    words = label.split(None, 1)
    if len(words) == 2 and NUMBER.fullmatch(words[0]):
        doubt = (
            "expected `video label` or `video num_frames label`, but behind the video there is "
            f"{rest!r:.200}; pass `labels` if a class is called {label!r:.200}"
        )
    num_frames = frame_count(count, place, problems)
    return Row(place, with_suffixes(path), label or None, num_frames, doubt)
