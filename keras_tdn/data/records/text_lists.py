"""Lists with one video per line or object: the authors', and those of the benchmarks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from keras_tdn.data.records.class_indices import ClassNames, read_names
from keras_tdn.data.records.rows import (
    VIDEO_SUFFIXES,
    Listing,
    Problems,
    Row,
    frame_count,
    numbered_lines,
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
    """Returns where the path of a line ends that names a video; `None` if it names a folder."""
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


BUILT_IN = "something_something_v2"


def read_something_v2(path: Path, text: str, problems: Problems) -> Listing:
    """A list of objects with an `id` and a `template`; the test list has the `id` alone.

    The class is the template without the brackets around what is acted on; `label`, which is the
    sentence that the actor wrote, is the class only where there is no template. Class names come
    from the file of labels beside the list, else from the package.
    """
    items = parse_json(text, repr(str(path)))
    if not isinstance(items, list):
        raise ValueError(
            "Something-Something's annotations are a JSON list of objects with `id` and "
            f"`template`, but {str(path)!r} holds a {type(items).__name__}."
        )
    rows = []
    for number, item in enumerate(items, 1):
        row = _row(number, item, problems)
        if row is not None:
            rows.append(row)
    return Listing(rows, _names(path, rows), path.parent)


def _row(number: int, item: Any, problems: Problems) -> Row | None:
    video = item.get("id") if isinstance(item, dict) else None
    if isinstance(video, bool) or not isinstance(video, (str, int)) or not str(video).strip():
        problems.add(f"item {number}", f"expected an object with an `id`, but it is {shown(item)}")
        return None
    place = f"item {number} (id {video!s:.200})"
    label = item.get("template", item.get("label"))
    if not isinstance(label, (str, int, type(None))) or isinstance(label, bool):
        problems.add(place, f"`template` must be a string, but it is {shown(label)}")
        return None
    if isinstance(label, str):
        label = label.replace("[", "").replace("]", "").strip()
    return Row(place, with_suffixes(str(video).strip(), ".webm"), None if label == "" else label)


def _names(path: Path, rows: list[Row]) -> tuple[str, ...] | None:
    beside = sorted(
        file
        for file in path.parent.glob("*labels.json")
        if "test" not in file.stem and file != path
    )
    if len(beside) == 1:
        return read_names(beside[0])
    names = read_names(BUILT_IN)
    known = ClassNames(names)
    texts = {row.label for row in rows if isinstance(row.label, str)}
    return names if texts and all(known.index(text) is not None for text in texts) else None


UCF101_FILE = re.compile(r"(?:train|test)list\d+\.txt", re.IGNORECASE)
SEPARATOR = re.compile(r"[/\\]")
HMDB51_FILE = re.compile(r"(.+)_test_split(\d+)\.txt", re.IGNORECASE)
# A third of each class is in neither part of a split.
HMDB51_FLAGS = {"train": "1", "test": "2"}
DEFAULT_FOLD = 1


def read_ucf101(path: Path, text: str, problems: Problems) -> Listing:
    """`Class/video.avi 1`, counted from 1; the test lists have the path alone.

    The folder is the class. Class names come from the `classInd.txt` beside the list, else from the
    package, and a number that disagrees with them is a problem.
    """
    index = path.parent / "classInd.txt"
    names = read_names(index if index.exists() else "ucf101")
    numbers = {name: number for number, name in enumerate(names, 1)}
    rows = []
    for number, line in numbered_lines(text):
        place = f"line {number}"
        folder, *rest = SEPARATOR.split(line, maxsplit=1)
        video = rest[0] if rest else ""
        if not folder or not video or video[0].isspace():
            problems.add(
                place, f"expected `Class/video.avi` and a class number, but it is {line!r:.200}"
            )
            continue
        stated = None
        words = video.rsplit(None, 1)
        if len(words) == 2 and words[1].isdecimal():
            video, stated = words
        if folder not in numbers:
            problems.add(place, f"the folder {folder!r:.200} is no class of the class index")
            continue
        if stated is not None and whole_number(stated) != numbers[folder]:
            problems.add(
                place,
                f"says class {stated:.200}, but {folder!r} is {numbers[folder]} in the class index",
            )
            continue
        rows.append(Row(place, (f"{folder}/{video}", video), folder))
    return Listing(rows, names, path.parent, named=True)


def hmdb51_files(path: Path) -> list[Path]:
    """Returns the split files that a folder, or one of them, stands for."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if HMDB51_FILE.fullmatch(file.name))
    return [path] if HMDB51_FILE.fullmatch(path.name) else []


def read_hmdb51(path: Path, problems: Problems, split: str | None, fold: int | None) -> Listing:
    """A folder of files `{class}_test_split{fold}.txt`, whose lines are `video.avi flag`.

    Flag 1 is training, 2 is test, 0 is neither. Class names are those of the files, sorted.
    """
    wanted = None if split is None else normal_split(split)
    if wanted not in (*HMDB51_FLAGS, ALL_SPLITS):
        raise ValueError(
            "HMDB51's split files list both parts. Pass split='train' or split='test' "
            f"(on the command line {SPLIT_OPTIONS}). Received: split={split!r}"
        )
    found: dict[int, dict[str, Path]] = {}
    for file in hmdb51_files(path):
        match = HMDB51_FILE.fullmatch(file.name)
        if match is not None:
            found.setdefault(int(match[2]), {})[match[1]] = file
    if not found:
        raise ValueError(
            "HMDB51's splits are files called `{class}_test_split{fold}.txt`, but there is none "
            f"in {str(path)!r}."
        )
    if fold is None:
        fold = DEFAULT_FOLD if DEFAULT_FOLD in found else min(found)
    if fold not in found:
        raise ValueError(f"{str(path)!r} has the folds {sorted(found)}. Received: fold={fold!r}")
    files = found[fold]

    rows = []
    for name, file in sorted(files.items()):
        for number, line in numbered_lines(read_text(file, "Lists", any_bytes=True)):
            place = f"{file.name} line {number}"
            video, *rest = line.rsplit(None, 1)
            flag = rest[0] if rest else ""
            if flag not in ("0", "1", "2"):
                problems.add(place, f"expected `video.avi` and 0, 1 or 2, but it is {line!r:.200}")
                continue
            if flag == HMDB51_FLAGS.get(wanted or "") or (wanted == ALL_SPLITS and flag != "0"):
                rows.append(Row(place, (f"{name}/{video}", video), name))
    names = tuple(sorted(files)) if path.is_dir() else None
    return Listing(rows, names, path if path.is_dir() else path.parent, named=True)
