"""The split files of UCF101 and HMDB51."""

from __future__ import annotations

import re
from pathlib import Path

from keras_tdn.data.records.label_names import read_names
from keras_tdn.data.records.rows import Listing, Problems, Row, numbered_lines, whole_number
from keras_tdn.data.records.tables import ALL_SPLITS, SPLIT_OPTIONS, normal_split
from keras_tdn.files.text import read_text

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
    """The split files that a folder, or one of them, stands for."""
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
