"""Lists with one video per line or object: the authors', and those of the benchmarks."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from keras_tdn.data.records.rows import (
    VIDEO_SUFFIXES,
    BadRowError,
    ClassNames,
    Listing,
    Problems,
    Row,
    placed_lines,
    read_names,
    unlike,
    whole_number,
    with_suffixes,
)
from keras_tdn.data.records.tables import ALL_SPLITS, SPLIT_OPTIONS, normal_split, split_line
from keras_tdn.files.text import parse_json, read_text, shown

# Where a line names a video file, its suffix says where the path ends, whatever blanks it has.
# These expressions look at each character once: a line may have any number of blanks.
PATH_END = re.compile(
    rf"(?<=.)(?:{'|'.join(re.escape(suffix) for suffix in VIDEO_SUFFIXES)})(?!\S)", re.IGNORECASE
)
COUNT = re.compile(r"-?\d+")
# Of frames or seconds, or a time such as 0:01:30.5.
NUMBER = re.compile(r"[-+]?\d+(?:[.:]\d+)*")


def read_list(path: Path, text: str, problems: Problems) -> Listing:
    """`folder num_frames label` or `video label`, separated by blanks, tabs or commas.

    A line without a label is a video whose class is not known.
    """
    placed = placed_lines(text)
    lines = [line for _, line in placed]
    # In a text file a comma is more likely part of a name.
    possible = "\t," if path.suffix.lower() == ".csv" else "\t"
    separators = [each for each in possible if lines and all(each in line for line in lines)]
    if separators:
        read = functools.partial(_separated_row, separator=separators[0])
    else:
        # One list is all of one kind.
        folders = [line for line in lines if not PATH_END.search(line)]
        counted = sum(_has_count(line.rsplit(None, 2)) for line in folders)
        read = functools.partial(_blank_row, with_count=2 * counted > len(folders))
    return Listing(problems.rows(placed, read), None, path.parent)


def _has_count(words: list[str]) -> bool:
    return len(words) == 3 and COUNT.fullmatch(words[1]) is not None


def _separated_row(place: str, line: str, separator: str) -> Row:
    fields = split_line(line, separator)
    if len(fields) not in (2, 3) or not all(fields):
        raise unlike("`path label` or `path num_frames label`", line)
    path, *count, label = fields
    return Row(place, with_suffixes(path), label, *count)


def _blank_row(place: str, line: str, with_count: bool) -> Row:
    *_, end = (0, *(match.end() for match in PATH_END.finditer(line)))
    if end:
        return _video_row(place, line[:end], line[end:].strip())
    if not with_count:
        path, *label = line.rsplit(None, 1)
        return Row(place, with_suffixes(path), label[0] if label else None)
    words = line.rsplit(None, 2)
    if not _has_count(words):
        raise unlike("`folder num_frames label`, as in most lines", line)
    path, count, text = words
    return Row(place, with_suffixes(path), text, count)


def _video_row(place: str, path: str, rest: str) -> Row:
    count, label, doubt = "", rest, ""
    words = rest.split(None, 1)
    if len(words) == 2 and COUNT.fullmatch(words[0]):
        count, label = words
    words = label.split(None, 1)
    if len(words) == 2 and NUMBER.fullmatch(words[0]):
        doubt = (
            "expected `video label` or `video num_frames label`, but behind the video there is "
            f"{rest!r:.200}; pass `labels` if a class is called {label!r:.200}"
        )
    return Row(place, with_suffixes(path), label or None, count, doubt)


def read_something_v1(path: Path, text: str, problems: Problems) -> Listing:
    """`id;label` without a header, as Something-Something V1 and Jester; or the `id` alone."""

    def read(place: str, line: str) -> Row:
        video, _, label = (part.strip() for part in line.partition(";"))
        if not video:
            raise unlike("`id;label`", line)
        # They are published as folders of frames.
        return Row(place, with_suffixes(video, "", ".webm"), label or None)

    return Listing(problems.rows(placed_lines(text), read), None, path.parent)


def read_something_v2(path: Path, text: str, problems: Problems) -> Listing:
    """A list of objects with an `id` and a `template`; the test list has the `id` alone.

    `label`, the sentence that the actor wrote, is the class only where there is no template. Names
    come from the file of labels beside the list, else from the package.
    """
    items = parse_json(text, repr(str(path)))
    if not isinstance(items, list):
        raise ValueError(
            "Something-Something's annotations are a JSON list of objects with `id` and "
            f"`template`, but {str(path)!r} holds a {type(items).__name__}."
        )
    placed = []
    for number, item in enumerate(items, 1):
        name = f" (id {video:.200})" if (video := _id(item)) else ""
        placed.append((f"item {number}{name}", item))
    rows = problems.rows(placed, _object_row)
    return Listing(rows, _names(path, rows), path.parent)


def _id(item: Any) -> str:
    """Returns the `id` of an object as text; empty if there is none."""
    video = item.get("id") if isinstance(item, dict) else None
    is_id = isinstance(video, (str, int)) and not isinstance(video, bool)
    return str(video).strip() if is_id else ""


def _object_row(place: str, item: Any) -> Row:
    video = _id(item)
    if not video:
        raise BadRowError(f"expected an object with an `id`, but it is {shown(item)}")
    label = item.get("template", item.get("label"))
    if not isinstance(label, (str, int, type(None))) or isinstance(label, bool):
        raise BadRowError(f"`template` must be a string, but it is {shown(label)}")
    if isinstance(label, str):
        label = label.replace("[", "").replace("]", "").strip()
    return Row(place, with_suffixes(video, ".webm"), None if label == "" else label)


def _names(path: Path, rows: list[Row]) -> tuple[str, ...] | None:
    files = path.parent.glob("*labels.json")
    beside = [file for file in files if "test" not in file.stem and file != path]
    if len(beside) == 1:
        return read_names(beside[0])
    names = read_names("something_something_v2")
    known = ClassNames(names)
    texts = {row.label for row in rows if isinstance(row.label, str)}
    return names if texts and all(known.index(text) is not None for text in texts) else None


UCF101_FILE = re.compile(r"(?:train|test)list\d+\.txt", re.IGNORECASE)
SEPARATOR = re.compile(r"[/\\]")
HMDB51_FILE = re.compile(r"(.+)_test_split(\d+)\.txt", re.IGNORECASE)
# A third of each class is in neither part of a split.
HMDB51_FLAGS = {"train": ("1",), "test": ("2",), ALL_SPLITS: ("1", "2")}
DEFAULT_FOLD = 1


def read_ucf101(path: Path, text: str, problems: Problems) -> Listing:
    """`Class/video.avi 1`, counted from 1; the test lists have the path alone.

    Names come from the `classInd.txt` beside the list, else from the package.
    """
    index = path.parent / "classInd.txt"
    names = read_names(index if index.exists() else "ucf101")
    numbers = {name: number for number, name in enumerate(names, 1)}

    def read(place: str, line: str) -> Row:
        folder, video, *_ = (*SEPARATOR.split(line, maxsplit=1), "")
        if not folder or not video or video[0].isspace():
            raise unlike("`Class/video.avi` and a class number", line)
        stated = None
        words = video.rsplit(None, 1)
        if len(words) == 2 and words[1].isdecimal():
            video, stated = words
        if folder not in numbers:
            raise BadRowError(f"the folder {folder!r:.200} is no class of the class index")
        if stated is not None and whole_number(stated) != numbers[folder]:
            raise BadRowError(
                f"says class {stated:.200}, but {folder!r} is {numbers[folder]} in the class index"
            )
        return Row(place, (f"{folder}/{video}", video), folder)

    return Listing(problems.rows(placed_lines(text), read), names, path.parent, named=True)


def hmdb51_files(path: Path) -> dict[int, dict[str, Path]]:
    """Returns the split files that a folder, or one of them, stands for, by fold and class."""
    found: dict[int, dict[str, Path]] = {}
    for file in path.iterdir() if path.is_dir() else [path]:
        match = HMDB51_FILE.fullmatch(file.name)
        if match is not None:
            found.setdefault(int(match[2]), {})[match[1]] = file
    return found


def read_hmdb51(path: Path, problems: Problems, split: str | None, fold: int | None) -> Listing:
    """A folder of `{class}_test_split{fold}.txt`, of lines `video.avi flag`; 0 is no part."""
    flags = HMDB51_FLAGS.get(normal_split(split or ""))
    if flags is None:
        raise ValueError(
            "HMDB51's split files list both parts. Pass split='train' or split='test' "
            f"(on the command line {SPLIT_OPTIONS}). Received: split={split!r}"
        )
    found = hmdb51_files(path)
    if not found:
        raise ValueError(
            "HMDB51's splits are files called `{class}_test_split{fold}.txt`, but there is none "
            f"in {str(path)!r}."
        )
    if fold is None:
        fold = DEFAULT_FOLD if DEFAULT_FOLD in found else min(found)
    if fold not in found:
        raise ValueError(f"{str(path)!r} has the folds {sorted(found)}. Received: fold={fold!r}")

    def read(place: str, line: str, name: str) -> Row | None:
        video, flag, *_ = (*line.rsplit(None, 1), "")
        if flag not in ("0", "1", "2"):
            raise unlike("`video.avi` and 0, 1 or 2", line)
        return Row(place, (f"{name}/{video}", video), name) if flag in flags else None

    rows = []
    for name, file in sorted(found[fold].items()):
        placed = placed_lines(read_text(file, "Lists", any_bytes=True), f"{file.name} ")
        rows += problems.rows(placed, functools.partial(read, name=name))
    if path.is_dir():
        return Listing(rows, tuple(sorted(found[fold])), path, named=True)
    return Listing(rows, None, path.parent, named=True)
