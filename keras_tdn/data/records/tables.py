"""CSV files with a header: Kinetics' annotations, and tables with columns for path and label."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_tdn.data.records.rows import (
    BadRowError,
    Listing,
    Problems,
    Row,
    whole_number,
    with_suffixes,
)
from keras_tdn.files.text import shown

KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end")
PATH_COLUMNS = (
    "path", "file", "file_name", "filename", "filepath", "file_path", "video", "video_path",
    "video_name", "clip", "clip_name", "folder", "video_id", "id", "name",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "class_name", "label_name", "action", "category", "target", "label_id",
    "class_id", "label_index", "class_index",
)  # fmt: skip
# A table that has both says which index each class has; `CheckReport.write_good_list` writes them.
NAME_COLUMN, INDEX_COLUMN = "class_name", "class_index"
COUNT_COLUMNS = ("num_frames", "n_frames", "total_frames", "frame_count", "frames")
SPLIT_COLUMNS = ("split", "subset", "set", "partition")
DELIMITERS = (",", ";", "\t")
FIRST_LINE = re.compile(r"\S[^\r\n]*")

# The same part is called differently even within Kinetics.
SPLIT_NAMES = {"training": "train", "testing": "test"}
SPLIT_NAMES |= dict.fromkeys(("valid", "validate", "validation"), "val")
ALL_SPLITS = "all"
# For messages: what the argument `split` is called there.
SPLIT_OPTIONS = "--split, or --train-split and --val-split"
# A line's fields by column.
Line = dict[str, str]


def header_of(text: str) -> tuple[str, ...]:
    """Returns the first line's fields, as column names are compared."""
    first = first_line(text).strip()
    fields = split_line(first, _delimiter(first))
    return tuple(field.lower().replace(" ", "_") for field in fields)


def split_line(line: str, delimiter: str) -> list[str]:
    """Returns one line's fields, stripped; none if it cannot be read."""
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def table_format(text: str) -> str | None:
    """Returns which table it is, `"kinetics"` or `"csv"`, if the first line names its columns."""
    header = header_of(text)
    if set(KINETICS_COLUMNS) <= set(header):
        return "kinetics"
    return "csv" if len(header) > 1 and _first(PATH_COLUMNS, header) else None


def read_kinetics(path: Path, text: str, problems: Problems, split: str | None) -> Listing:
    """`label,youtube_id,time_start,time_end,split`; the test lists have no label.

    Videos are called as the usual tools that fetch Kinetics call them, and lie in one folder, or in
    one per class (with blanks or underscores) or per split.
    """
    missing = [column for column in KINETICS_COLUMNS if column not in header_of(text)]
    if missing:
        raise ValueError(
            f"Kinetics' annotations have the columns {', '.join(KINETICS_COLUMNS)}, but "
            f"{str(path)!r} lacks {', '.join(missing)}. Its header: {shown(list(header_of(text)))}"
        )
    path_column, *others = KINETICS_COLUMNS
    lines = _chosen(path, text, problems, split, path_column, [*others, "label"])
    return Listing(problems.rows(lines, _kinetics_row), None, path.parent)


def _kinetics_row(place: str, line: Line) -> Row:
    try:
        start, end = (int(float(line[column])) for column in KINETICS_COLUMNS[1:])
    except (ValueError, OverflowError):
        raise BadRowError(
            "`time_start` and `time_end` must be seconds, but they are "
            f"{line['time_start']!r:.200} and {line['time_end']!r:.200}"
        ) from None
    video = line["youtube_id"].strip()
    if not video:
        raise BadRowError("`youtube_id` is empty")
    files = with_suffixes(f"{video}_{start:06d}_{end:06d}", ".mp4")
    label = line.get("label", "").strip('"')
    folders = dict.fromkeys(("", label, label.replace(" ", "_"), line.get("split", "")))
    paths = [f"{folder}/{file}" if folder else file for folder in folders for file in files]
    return Row(place, tuple(paths), label or None)


def read_csv(path: Path, text: str, problems: Problems, split: str | None) -> Listing:
    """A table with a header, one column of which is the path and one the label.

    Where the label is the column `class_index`, or `class_name` with that beside it, classes have
    the index that is stated, and a row without a path is a class that has no video here.
    """
    header = header_of(text)
    path_column = _first(PATH_COLUMNS, header)
    if path_column is None:
        raise ValueError(
            "A table needs a column with the path of each video, called one of "
            f"{', '.join(PATH_COLUMNS)}, but {str(path)!r} has none. Its header: "
            f"{shown(list(header))}"
        )
    label_column = _first(LABEL_COLUMNS, header)
    count_column = _first(COUNT_COLUMNS, header)
    states_classes = label_column in (NAME_COLUMN, INDEX_COLUMN) and INDEX_COLUMN in header
    named = states_classes and label_column == NAME_COLUMN
    used = [label_column, count_column, INDEX_COLUMN if named else None]

    def read(place: str, line: Line) -> Row:
        label = (line[label_column] if label_column else "") or None
        # With the blanks that are in quotation marks, or else without.
        stated = dict.fromkeys((line[path_column], line[path_column].strip()))
        paths = [path for video in stated if video.strip() for path in with_suffixes(video)]
        if not paths and (not states_classes or label is None):
            raise BadRowError(f"`{path_column}` is empty")
        return Row(place, tuple(paths), label, line[count_column] if count_column else None)

    lines = _chosen(path, text, problems, split, path_column, used)
    rows = problems.rows(lines, read)
    present = {row.label for row in rows if row.paths}
    for row in rows:
        if not row.paths and row.label in present:
            problems.add(row.place, f"`{path_column}` is empty")
    return Listing(rows, _stated_names(lines, problems) if named else None, path.parent, named)


def _stated_names(lines: list[tuple[str, Line]], problems: Problems) -> tuple[str, ...] | None:
    """Returns the names of the classes in order, if each has an index."""
    names: dict[int, tuple[str, str]] = {}
    indices: dict[str, tuple[int, str]] = {}
    for place, line in lines:
        name, text = line[NAME_COLUMN], line[INDEX_COLUMN]
        if not text or not name:
            continue
        index = whole_number(text)
        if index is None or index < 0:
            problems.add(place, f"`{INDEX_COLUMN}` is an integer from 0, but it is {text!r:.200}")
            continue
        other_name, there = names.setdefault(index, (name, place))
        if other_name != name:
            problems.add(place, f"class {index} is {name!r} here and {other_name!r} at {there}")
        other_index, there = indices.setdefault(name, (index, place))
        if other_index != index:
            problems.add(place, f"{name!r} is class {index} here and {other_index} at {there}")
    listed = {line[NAME_COLUMN] for _, line in lines}
    if names.keys() != set(range(len(names))) or listed - indices.keys() - {""}:
        return None
    return tuple(names[index][0] for index in range(len(names))) or None


def format_table(
    rows: Iterable[tuple[str, int | None, int | None]],
    labels: Sequence[str] | None,
    num_classes: int,
) -> bytes:
    """Formats paths, numbers of frames and classes as a table that `read_csv` reads back."""
    rows = list(rows)
    present = {label for *_, label in rows if label is not None}
    columns = ["path", "num_frames"]
    if present:
        columns += [INDEX_COLUMN] if labels is None else [NAME_COLUMN, INDEX_COLUMN]
        # Of classes without names, the last says how many there are.
        told = range(num_classes)[-1:] if labels is None else range(num_classes)
        rows += [("", None, label) for label in told if label not in present]
    text = io.StringIO()
    text.write(",".join(columns) + "\n")
    # Blanks at the ends of a path count if it is in quotation marks.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for path, num_frames, label in rows:
        name = None if labels is None or label is None else labels[label]
        fields = {"path": path, "num_frames": num_frames, NAME_COLUMN: name, INDEX_COLUMN: label}
        writer.writerow([fields[column] for column in columns])
    return text.getvalue().encode("utf-8", "surrogateescape")


def normal_split(name: str) -> str:
    """Returns one name for each part of a data set."""
    lowered = name.strip().lower()
    return SPLIT_NAMES.get(lowered, lowered)


def _chosen(
    path: Path,
    text: str,
    problems: Problems,
    split: str | None,
    path_column: str,
    used: Sequence[str | None],
) -> list[tuple[str, Line]]:
    """Returns the wanted split's lines of a table, of which these columns are used."""
    header = header_of(text)
    column = _first(SPLIT_COLUMNS, header)
    for name in (path_column, *used, column):
        if name is not None and header.count(name) > 1:
            raise ValueError(f"{str(path)!r} has the column {name!r} more than once. Remove one.")
    lines = _lines(text, header, path_column, problems)
    if column is None:
        if split not in (None, ALL_SPLITS):
            raise ValueError(
                f"{str(path)!r} has no column that names the split, such as `split`. Pass "
                f"split=None, and the list of the split that is wanted. Received: split={split!r}"
            )
        return lines
    found = sorted({normal_split(line[column]) for _, line in lines})
    wanted = None if split is None else normal_split(split)
    if wanted is None and len(found) > 1:
        raise ValueError(
            f"{str(path)!r} lists the splits {shown(found)} together. Pass `split` to choose one, "
            f"or split={ALL_SPLITS!r} to have them all (on the command line {SPLIT_OPTIONS})."
        )
    if wanted not in (None, ALL_SPLITS, *found):
        listed = f"{str(path)!r} lists the splits {shown(found)}"
        raise ValueError(f"{listed}. Received: split={split!r}")
    if wanted in (None, ALL_SPLITS):
        return lines
    return [(place, line) for place, line in lines if normal_split(line[column]) == wanted]


def _lines(
    text: str, header: tuple[str, ...], path_column: str, problems: Problems
) -> list[tuple[str, Line]]:
    """Returns the lines below the header and their places; quoted paths are not stripped."""
    raw = io.StringIO(text, newline="").readlines()
    reader = csv.reader(raw, delimiter=_delimiter(first_line(text)))
    rows = []
    ended = 0
    try:
        for row in reader:
            if any(field.strip() for field in row):
                # A quoted field may hold line ends: a row is called after its first line.
                rows.append((f"line {ended + 1}", row, "".join(raw[ended : reader.line_num])))
            ended = reader.line_num
    except csv.Error as error:
        problems.add(f"line {ended + 1}", f"not a line of a CSV file ({error})")
    lines = []
    for place, row, written in rows[1:]:
        if len(row) != len(header):
            message = f"{len(row)} fields, but the header has {len(header)}: {','.join(row)!r:.200}"
            problems.add(place, message)
            continue
        line = {column: field.strip() for column, field in zip(header, row, strict=True)}
        path = row[header.index(path_column)]
        quoted = path.replace('"', '""')
        if f'"{quoted}"' in written:
            line[path_column] = path
        lines.append((place, line))
    return lines


def first_line(text: str) -> str:
    """Returns the first line that is not blank, without leading blanks."""
    line = FIRST_LINE.search(text)
    return line[0] if line else ""


def _delimiter(line: str) -> str:
    return max(DELIMITERS, key=line.count)


def _first(known: tuple[str, ...], header: tuple[str, ...]) -> str | None:
    return next((column for column in known if column in header), None)
