"""Records from lists, annotation files and folders, checked before anything depends on them."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_tdn.choices import RECORD_FORMATS as FORMATS
from keras_tdn.data.records.class_folders import read_class_folders
from keras_tdn.data.records.class_indices import LabelSource, class_indices, read_names
from keras_tdn.data.records.record import MAX_INT32, Record, RecordList
from keras_tdn.data.records.rows import MAX_PROBLEMS_SHOWN, Listing, Problems, Row
from keras_tdn.data.records.tables import (
    first_line,
    has_header,
    is_kinetics,
    read_csv,
    read_kinetics,
)
from keras_tdn.data.records.text_lists import (
    UCF101_FILE,
    hmdb51_files,
    read_hmdb51,
    read_list,
    read_something_v1,
    read_something_v2,
    read_ucf101,
)
from keras_tdn.files.text import is_text, read_text, shown

JSON_FORMAT = "something_something_v2"
TEXT_FORMATS = {
    "list": read_list,
    "something_something_v1": read_something_v1,
    JSON_FORMAT: read_something_v2,
    "ucf101": read_ucf101,
}
TABLE_FORMATS = {"csv": read_csv, "kinetics": read_kinetics}


def read_source(
    path: Path, format: str | None, split: str | None, fold: int | None, problems: Problems
) -> Listing:
    """Reads the rows of a file or folder.

    Raises:
        ValueError: if it is not there or not of the format, or an argument does not go with it.
    """
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
        return read_hmdb51(path, problems, split, fold)
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
        return "hmdb51" if hmdb51_files(path) else "folders"
    # What a list says of itself comes before what it is called.
    first = first_line(text)
    if path.suffix.lower() == ".json" and first.startswith(("[", "{")):
        return JSON_FORMAT
    if is_kinetics(text):
        return "kinetics"
    if has_header(text):
        return "csv"
    if hmdb51_files(path):
        return "hmdb51"
    if UCF101_FILE.fullmatch(path.name):
        return "ucf101"
    if path.suffix.lower() == ".csv" and first.count(";") == 1:
        return "something_something_v1"
    return "list"


class FileFinder:
    """Looks for files below a root.

    Lists name hundreds of thousands of files in few folders, often on a network drive: each folder
    is listed once instead of asking for every file.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.path.expanduser(root))
        self._folders: dict[str, frozenset[str] | None] = {}

    def absolute(self, path: str) -> str:
        """Returns the absolute path of `path`, which starts at the root unless it is absolute."""
        return os.path.normpath(os.path.join(self.root, os.path.expanduser(path)))

    def first(self, paths: tuple[str, ...]) -> str:
        """Returns the absolute path of the likeliest of `paths`, without looking."""
        return self.absolute(paths[0])

    def find(self, paths: tuple[str, ...]) -> str | None:
        """Returns the absolute path of the first of `paths` that exists."""
        for path in paths:
            absolute = self.absolute(path)
            folder, name = os.path.split(absolute)
            if folder not in self._folders:
                self._folders[folder] = _names(folder)
            names = self._folders[folder]
            # What may be entered but not listed has to be asked for.
            if os.path.exists(absolute) if names is None else name in names:
                return absolute
        return None


def _names(folder: str) -> frozenset[str] | None:
    try:
        with os.scandir(folder) as entries:
            return frozenset(
                entry.name
                for entry in entries
                # A link may point to nothing.
                if not entry.is_symlink() or Path(entry.path).exists()
            )
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

    Use it before `make_dataset`, evaluation or packing. Everything that is wrong with the source is
    reported at once, with line numbers: lines that cannot be read, columns that do not fit, labels
    that are no class or out of proportion to the list, files that are not there, and videos listed
    twice with different labels.

    The format is detected, or named:

    - `"list"`: the authors' lists, `folder num_frames label` or `video label`, with blanks, tabs
      or commas (in a `.csv`) in between. Paths may have blanks. Labels may if the line names a file
      with its suffix, or is separated by tabs or commas.
    - `"csv"`: a table with a header that has a column for the path (`path`, `file_name`, `video`,
      ...) and maybe columns for `label`, `num_frames` and `split`. With the columns `class_name`
      and `class_index`, classes have the indices that are stated.
    - `"kinetics"`: Kinetics' annotations, `label,youtube_id,time_start,time_end,split`; the files
      are called `{youtube_id}_{start:06d}_{end:06d}.mp4`.
    - `"something_something_v2"`: the JSON of `id` and `template`; the files are `{id}.webm`, or
      folders of frames.
    - `"something_something_v1"`: `id;label` without a header, as Jester too.
    - `"ucf101"`: `trainlist01.txt` or `testlist01.txt`.
    - `"hmdb51"`: the folder of `{class}_test_split1.txt` files, with `split` and `fold`.
    - `"folders"`: a folder per class. Folders of the system, hidden ones and those without a video
      are no classes; a warning names what is skipped.

    A video without its suffix is found by trying the usual ones. A path may also be a directory of
    frames in JPEG.

    Args:
        source: Path of a list, an annotation file or a folder. Or records, paths and tuples
            `(path, label)` or `(path, label, num_frames)` themselves.
        format: One of the names above; detected by default.
        root: Where relative paths start: by default at the folder that the list lies in.
        labels: Class names in the order of the model's scores: a sequence, a data set's name, or
            a file (one name per line, a `classInd.txt`, or a JSON of names and indices). The source
            may label videos by name or by index; names that do not match exactly are compared
            without regard to case, brackets and underscores. By default they are the names that
            belong to the format, or else all names in the list, sorted: with a validation list,
            pass `labels=train.labels`, lest a class without a video there shifts the others.
        num_classes: Number of classes of a list whose labels are numbers without names. By default
            the largest label decides, unless that would be out of proportion to the list.
        split: Part of the data set, `"train"`, `"val"` or `"test"`, where a source has several;
            `"all"` for all parts.
        fold: Number of the split of HMDB51; 1 by default.
        check_files: Whether to look for every file.
        skip_missing: Whether to leave out files that are not there, instead of an error. They are
            listed in `records.missing`; the others keep their `index`. Much of Kinetics can no
            longer be fetched.
        believe_labels: Whether a label may be out of all proportion to the list, as where the
            number of classes is known from elsewhere.

    Returns:
        A `RecordList`.

    Raises:
        ValueError: if the source cannot be read, lists nothing, or has problems; the message lists
            the first of them.

    Example:

    >>> records = load_records([("a.mp4", "run"), ("b.mp4", "jump")], check_files=False)
    >>> records.labels, [record.label for record in records]
    (('jump', 'run'), [1, 0])
    """
    if skip_missing and not check_files:
        raise ValueError("`skip_missing` needs the files to be looked for: pass check_files=True.")
    if num_classes is not None:
        _check_count(num_classes)
    elif isinstance(source, RecordList) and source.labels is None and labels is None:
        num_classes = source.num_classes or None
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
        listing = _read_items(source, problems)
    rows = listing.rows
    if not rows and not problems.found:
        raise ValueError(f"{problems.source} has no records: there is no video listed in it.")

    indices, names = class_indices(
        [*rows, *listing.without_video],
        names or listing.names,
        num_classes,
        problems,
        listing.named,
        believe_labels,
    )
    _check_num_classes(num_classes, names)
    if names is None and num_classes is None:
        # Of all that is listed, whether or not its files are there.
        num_classes = max((index for index in indices if index is not None), default=-1) + 1
    del indices[len(rows) :]
    _check_paths(rows, problems)
    finder = FileFinder(listing.root if root is None else root)
    paths = [finder.find(row.paths) if check_files else finder.first(row.paths) for row in rows]
    absent = [row for row, path in zip(rows, paths, strict=True) if path is None]
    hint = _missing_hint(len(absent), len(rows), finder.root)
    if not skip_missing:
        for row in absent:
            path = finder.first(row.paths)
            problems.add(row.place, f"there is no file {path!r}{'' if is_text(path) else NOT_TEXT}")
    _check_duplicates(rows, paths, indices, problems)
    problems.raise_if_any(hint)
    if len(absent) == len(rows):
        raise ValueError(f"{problems.source} has no records. {hint}")
    records = [
        Record(path, label, row.num_frames, index)
        for index, (row, path, label) in enumerate(zip(rows, paths, indices, strict=True))
        if path is not None
    ]
    return RecordList(records, names, num_classes, [finder.first(row.paths) for row in absent])


def _read_items(items: Iterable[Any], problems: Problems) -> Listing:
    names = items.labels if isinstance(items, RecordList) else None
    rows = []
    for number, item in enumerate(items):
        place = f"item {number}"
        if isinstance(item, Record):
            item = (item.path, item.label, item.num_frames)
        elif isinstance(item, (str, os.PathLike)):
            item = (item, None)
        try:
            path, label, *rest = item
            count = None if not rest or rest[0] is None else operator.index(rest[0])
            if isinstance(label, bool):
                raise TypeError
            if not isinstance(label, (str, type(None))):
                label = operator.index(label)
            if len(rest) > 1 or (count is not None and not 0 < count <= MAX_INT32):
                raise TypeError
            path = os.fspath(path)
            if not isinstance(path, str) or not path:
                raise TypeError
            rows.append(Row(place, (path,), label, count))
        except (TypeError, ValueError):
            problems.add(
                place, f"expected a record or (path, label, num_frames), but it is {shown(item)}"
            )
    return Listing(rows, names, Path.cwd())


def _check_count(num_classes: Any) -> None:
    most = MAX_INT32 + 1
    whole = isinstance(num_classes, int) and not isinstance(num_classes, bool)
    if not whole or not 1 <= num_classes <= most:
        raise ValueError(
            f"`num_classes` must be a positive integer, at most {most}. "
            f"Received: num_classes={shown(num_classes)}"
        )


def _check_num_classes(num_classes: int | None, names: tuple[str, ...] | None) -> None:
    if num_classes is not None and names is not None and len(names) != num_classes:
        raise ValueError(
            f"There are {len(names)} labels: leave `num_classes` out (on the command line "
            f"--classes), or pass `labels` that are as many. Received: num_classes={num_classes}"
        )


def _check_paths(rows: list[Row], problems: Problems) -> None:
    for row in rows:
        path = row.paths[0]
        # Nearly all are, and then nothing can be wrong.
        if path.isascii() and "\0" not in path:
            continue
        try:
            possible = b"\0" not in os.fsencode(path)
        except UnicodeEncodeError:
            possible = False
        if not possible:
            problems.add(row.place, f"no file can be called {path!r:.200}")


def _check_duplicates(
    rows: list[Row], paths: list[str | None], indices: list[int | None], problems: Problems
) -> None:
    """Reports videos listed twice with different labels; with the same, it is oversampling."""
    first: dict[str, int] = {}
    for position, (row, path) in enumerate(zip(rows, paths, strict=True)):
        if path is None:
            continue
        before = first.setdefault(path, position)
        if (
            None not in (indices[before], indices[position])
            and indices[before] != indices[position]
        ):
            problems.add(
                row.place,
                f"{path!r} has the label {row.label!r} here and {rows[before].label!r} at "
                f"{rows[before].place}",
            )


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
