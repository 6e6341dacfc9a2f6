"""Records from lists, annotation files and folders, checked before anything depends on them."""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_tdn.choices import RECORD_FORMATS as FORMATS
from keras_tdn.data.records import tables, text_lists
from keras_tdn.data.records.class_folders import read_class_folders
from keras_tdn.data.records.record import MAX_INT32, Record, RecordList
from keras_tdn.data.records.rows import (
    MAX_PROBLEMS_SHOWN,
    BadRowError,
    LabelSource,
    Listing,
    Problems,
    Row,
    class_indices,
    frame_count,
    read_names,
)
from keras_tdn.files.text import is_text, read_text, shown
from keras_tdn.specs import is_positive_int

JSON_FORMAT = "something_something_v2"
TEXT_FORMATS = {
    "list": text_lists.read_list,
    "something_something_v1": text_lists.read_something_v1,
    JSON_FORMAT: text_lists.read_something_v2,
    "ucf101": text_lists.read_ucf101,
}
TABLE_FORMATS = {"csv": tables.read_csv, "kinetics": tables.read_kinetics}


def read_source(
    path: Path, format: str | None, split: str | None, fold: int | None, problems: Problems
) -> Listing:
    """Reads the rows of a file or folder."""
    path = path.expanduser()
    if format is not None and format not in FORMATS:
        raise ValueError(
            f"Records are read in one of the formats {', '.join(FORMATS)}. "
            f"Received: format={format!r}"
        )
    if not path.exists():
        raise ValueError(
            f"There is no list or folder {str(path)!r}. Check the path; a relative one starts at "
            f"{os.getcwd()!r}."
        )
    # File names may have any bytes.
    text = "" if path.is_dir() else read_text(path, "Lists", any_bytes=True)
    format = format or _detect(path, text)
    if format == JSON_FORMAT and not is_text(text):
        # Says in which line.
        read_text(path, "Lists")
    if format != "hmdb51" and fold is not None:
        raise ValueError(f"`fold` is for HMDB51's split files. Received: fold={fold!r}")
    if format == "hmdb51":
        return text_lists.read_hmdb51(path, problems, split, fold)
    if path.is_dir() != (format == "folders"):
        expected = "a folder with a folder per class" if format == "folders" else "a file"
        raise ValueError(f"The format {format!r} is {expected}, but {str(path)!r} is not one.")
    if format == "folders":
        return read_class_folders(path, split)
    if format in TABLE_FORMATS:
        return TABLE_FORMATS[format](path, text, problems, split)
    if split is not None:
        raise ValueError(
            f"{str(path)!r} is the list of one split, in the format {format!r}: leave `split` out. "
            f"Received: split={split!r}"
        )
    return TEXT_FORMATS[format](path, text, problems)


def _detect(path: Path, text: str) -> str:
    if path.is_dir():
        return "hmdb51" if text_lists.hmdb51_files(path) else "folders"
    # What a list says of itself comes before what it is called.
    first = tables.first_line(text)
    if path.suffix.lower() == ".json" and first.startswith(("[", "{")):
        return JSON_FORMAT
    table = tables.table_format(text)
    if table is not None:
        return table
    if text_lists.hmdb51_files(path):
        return "hmdb51"
    if text_lists.UCF101_FILE.fullmatch(path.name):
        return "ucf101"
    if path.suffix.lower() == ".csv" and first.count(";") == 1:
        return "something_something_v1"
    return "list"


class _FileFinder:
    """Looks for files below a root; lists each folder once, as it may be on a network drive."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.path.expanduser(root))
        self._names = functools.cache(_names)

    def find(self, paths: tuple[str, ...], look: bool) -> tuple[str, bool]:
        """Returns the absolute path of the first that exists, else of the likeliest and `False`."""
        for path in map(self._absolute, paths):
            folder, name = os.path.split(path)
            names = self._names(folder) if look else (name,)
            # What may be entered but not listed has to be asked for.
            if os.path.exists(path) if names is None else name in names:
                return path, True
        return self._absolute(paths[0]), False

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.root, os.path.expanduser(path)))


def _names(folder: str) -> frozenset[str] | None:
    """Returns what a folder holds, without links to nothing; `None` if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            there = (each for each in entries if not each.is_symlink() or os.path.exists(each))
            return frozenset(entry.name for entry in there)
    # A path that no file can have, as with a null character, is a `ValueError`.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return frozenset()
    except OSError:
        return None


NOT_TEXT = "; that line is not UTF-8: save the list as UTF-8, unless the file is called so"

RecordSource = str | os.PathLike[str] | Iterable[Record | tuple[Any, ...] | str]


def load_records(
    source: RecordSource,
    *,
    format: str | None = None,
    root: str | os.PathLike[str] | None = None,
    labels: LabelSource | None = None,
    num_classes: int | None = None,
    split: str | None = None,
    fold: int | None = None,
    check_files: bool = True,
    skip_missing: bool = False,
    believe_labels: bool = False,
) -> RecordList:
    """Loads the records of a data set: which videos there are and what they show.

    Everything that is wrong with the source is reported at once, with line numbers: lines that
    cannot be read, columns that do not fit, labels that are no class or out of proportion to the
    list, files that are not there, and videos listed twice with different labels.

    The format is detected, or named:

    - `"list"`: the authors' lists, `folder num_frames label` or `video label`, with blanks, tabs
      or commas (in a `.csv`) in between. Paths may have blanks. Labels may if the line names a file
      with its suffix, or is separated by tabs or commas.
    - `"csv"`: a table with a header that has a column for the path (`path`, `file_name`, `video`,
      ...) and maybe columns for `label`, `num_frames` and `split`. The columns `class_name` and
      `class_index` say which index each class has.
    - `"kinetics"`: Kinetics' annotations, `label,youtube_id,time_start,time_end,split`; the files
      are called `{youtube_id}_{start:06d}_{end:06d}.mp4`.
    - `"something_something_v2"`: the JSON of `id` and `template`; the files are `{id}.webm`, or
      folders of frames.
    - `"something_something_v1"`: `id;label` without a header, as Jester too.
    - `"ucf101"`: `trainlist01.txt` or `testlist01.txt`.
    - `"hmdb51"`: the folder of `{class}_test_split1.txt` files, with `split` and `fold`.
    - `"folders"`: a folder per class; a warning names folders and files that are skipped.

    A video without its suffix is found by trying the usual ones. A path may also be a directory of
    frames in JPEG.

    Args:
        source: Path of a list, an annotation file or a folder. Or records, paths and tuples
            `(path, label)` or `(path, label, num_frames)` themselves.
        format: One of the names above; detected by default.
        root: Where relative paths start: by default at the folder that the list lies in.
        labels: Class names in the order of the model's scores: a sequence, a data set's name, or
            a file (one name per line, a `classInd.txt`, or a JSON of names and indices). Names in
            the list that do not match exactly are compared without regard to case, brackets and
            underscores. By default, the names that belong to the format, or else all names in the
            list, sorted: with a validation list, pass `labels=train.labels`, lest a class without a
            video there shifts the others.
        num_classes: Number of classes of a list whose labels are numbers without names. By default
            the largest label decides, unless that would be out of proportion to the list.
        split: Part of the data set, `"train"`, `"val"` or `"test"`, where a source has several;
            `"all"` for all parts.
        fold: Number of the split of HMDB51; 1 by default.
        check_files: Whether to look for every file.
        skip_missing: Whether to leave out files that are not there, instead of an error, and list
            them in `records.missing`; the others keep their `index`.
        believe_labels: Whether a label may be out of all proportion to the list, as where the
            number of classes is known from elsewhere.

    Raises:
        ValueError: if the source cannot be read, lists nothing, or has problems.

    Example:

    >>> records = load_records([("a.mp4", "run"), ("b.mp4", "jump")], check_files=False)
    >>> records.labels, [record.label for record in records]
    (('jump', 'run'), [1, 0])
    """
    if skip_missing and not check_files:
        raise ValueError("`skip_missing` needs the files to be looked for: pass check_files=True.")
    if num_classes is None:
        if isinstance(source, RecordList) and source.labels is None and labels is None:
            num_classes = source.num_classes or None
    elif not is_positive_int(num_classes) or num_classes > MAX_INT32 + 1:
        raise ValueError(
            f"`num_classes` must be a positive integer, at most {MAX_INT32 + 1}. "
            f"Received: num_classes={shown(num_classes)}"
        )
    names = None if labels is None else read_names(labels)
    if isinstance(source, (str, os.PathLike)):
        problems = Problems(repr(os.fspath(source)))
        listing = read_source(Path(source), format, split, fold, problems)
    else:
        for argument, value in {"format": format, "split": split, "fold": fold}.items():
            if value is not None:
                raise ValueError(
                    f"`{argument}` is for sources that are read from a file or folder. "
                    f"Received: {argument}={value!r} with {type(source).__name__}"
                )
        problems = Problems("The list of records")
        labels = source.labels if isinstance(source, RecordList) else None
        items = ((f"item {number}", item) for number, item in enumerate(source))
        listing = Listing(problems.rows(items, _item_row), labels, Path.cwd())
    rows = listing.rows
    if not rows and not problems.found:
        raise ValueError(f"{problems.source} has no records: there is no video listed in it.")

    counts = [frame_count(row, problems) for row in rows]
    classes, names = class_indices(
        listing, names or listing.names, num_classes, problems, believe_labels
    )
    if num_classes is not None and names is not None and len(names) != num_classes:
        raise ValueError(
            f"There are {len(names)} labels: leave `num_classes` out (on the command line "
            f"--classes), or pass `labels` that are as many. Received: num_classes={num_classes}"
        )
    if names is None and num_classes is None:
        # Of all that is listed, whether or not its files are there.
        num_classes = max((each for each in classes if each is not None), default=-1) + 1
    finder = _FileFinder(listing.root if root is None else root)
    records: list[Record] = []
    missing: list[str] = []
    listed: dict[str, tuple[Row, int | None]] = {}
    for row, label, count in zip(rows, classes, counts, strict=True):
        if not row.paths:
            continue
        index = len(records) + len(missing)
        path, is_there = finder.find(row.paths, check_files)
        if not _is_possible(row.paths[0]):
            problems.add(row.place, f"no file can be called {row.paths[0]!r:.200}")
        if not is_there:
            missing.append(path)
            if not skip_missing:
                not_text = "" if is_text(path) else NOT_TEXT
                problems.add(row.place, f"there is no file {path!r}{not_text}")
            continue
        # With the same label, it is oversampling.
        other, other_label = listed.setdefault(path, (row, label))
        if len({label, other_label} - {None}) > 1:
            labels_of_both = f"{row.label!r} here and {other.label!r} at {other.place}"
            problems.add(row.place, f"{path!r} has the label {labels_of_both}")
        records.append(Record(path, label, count, index))
    hint = _missing_hint(len(missing), len(records) + len(missing), finder.root)
    problems.raise_if_any(hint)
    if not records:
        raise ValueError(f"{problems.source} has no records. {hint}")
    return RecordList(records, names, num_classes, missing)


def _item_row(place: str, item: Any) -> Row:
    if isinstance(item, Record):
        item = (item.path, item.label, item.num_frames)
    elif isinstance(item, (str, os.PathLike)):
        item = (item, None)
    try:
        path, label, *rest = item
        count = None if not rest or rest[0] is None else operator.index(rest[0])
        if not isinstance(label, (str, bool, type(None))):
            label = operator.index(label)
        path = os.fspath(path)
        fits = len(rest) < 2 and not isinstance(label, bool) and isinstance(path, str) and path
        if fits and (count is None or 0 < count <= MAX_INT32):
            return Row(place, (path,), label, count)
    except (TypeError, ValueError):
        pass
    raise BadRowError(f"expected a record or (path, label, num_frames), but it is {shown(item)}")


def _is_possible(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _missing_hint(missing: int, listed: int, root: str) -> str:
    if missing == 0:
        return ""
    if missing == listed:
        return (
            f"None of the {listed} files is there. Relative paths start at {root!r}: pass `root` "
            "if the videos lie elsewhere."
        )
    if missing > MAX_PROBLEMS_SHOWN:
        return f"{missing} of {listed} files are not there; skip_missing=True leaves them out."
    return ""
