"""CSV files with a header: Kinetics' annotations, and tables with columns for path and label."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from keras_tdn.data.records.rows import Listing, Problems, Row, frame_count, with_suffixes

KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end")
PATH_COLUMNS = (
    "path",
    "file",
    "file_name",
    "filename",
    "filepath",
    "file_path",
    "video",
    "video_path",
    "video_name",
    "clip",
    "clip_name",
    "folder",
    "video_id",
    "id",
    "name",
)
LABEL_COLUMNS = (
    "label",
    "class",
    "class_name",
    "label_name",
    "action",
    "category",
    "target",
    "label_id",
    "class_id",
    "label_index",
    "class_index",
)
COUNT_COLUMNS = ("num_frames", "n_frames", "total_frames", "frame_count", "frames")
SPLIT_COLUMNS = ("split", "subset", "set", "partition")
DELIMITERS = (",", ";", "\t")

# The same part is called differently even within Kinetics.
SPLIT_NAMES = {
    "training": "train",
    "testing": "test",
    "valid": "val",
    "validate": "val",
    "validation": "val",
}
ALL_SPLITS = "all"
# For messages: what the argument `split` is called there.
SPLIT_OPTIONS = "--split, or --train-split and --val-split"


def header_of(text: str) -> tuple[str, ...]:
    """The first line's fields, as column names are compared."""
    first = text.lstrip().split("\n", 1)[0].strip()
    fields = split_line(first, _delimiter(first))
    return tuple(field.strip().lower().replace(" ", "_") for field in fields)


def split_line(line: str, delimiter: str) -> list[str]:
    """One line's fields without surrounding blanks; none if it cannot be read."""
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def has_header(text: str) -> bool:
    """Whether the first line names columns that are known."""
    header = header_of(text)
    return is_kinetics(text) or (len(header) > 1 and _first(PATH_COLUMNS, header) is not None)


def is_kinetics(text: str) -> bool:
    """Whether the first line is the header of Kinetics' annotations."""
    return set(KINETICS_COLUMNS) <= set(header_of(text))


def read_kinetics(path: Path, text: str, problems: Problems, split: str | None) -> Listing:
    """`label,youtube_id,time_start,time_end,split`; the test lists have no label.

    Videos are called `{youtube_id}_{start:06d}_{end:06d}.mp4`, as the usual tools that fetch
    Kinetics call them, and lie in one folder, or in one per class (with blanks or underscores) or
    per split.
    """
    missing = [column for column in KINETICS_COLUMNS if column not in header_of(text)]
    if missing:
        raise ValueError(
            f"Kinetics' annotations have the columns {', '.join(KINETICS_COLUMNS)}, but "
            f"{str(path)!r} lacks {', '.join(missing)}. Its header: {list(header_of(text))}"
        )
    rows = []
    for place, fields in _chosen(path, text, problems, split):
        try:
            start, end = (int(float(fields[column])) for column in KINETICS_COLUMNS[1:])
        except (ValueError, OverflowError):
            problems.add(
                place,
                "`time_start` and `time_end` must be seconds, but they are "
                f"{fields['time_start']!r} and {fields['time_end']!r}",
            )
            continue
        if not fields["youtube_id"]:
            problems.add(place, "`youtube_id` is empty")
            continue
        name = f"{fields['youtube_id']}_{start:06d}_{end:06d}"
        label = fields.get("label", "").strip('"')
        folders = dict.fromkeys(("", label, label.replace(" ", "_"), fields.get("split", "")))
        paths = tuple(
            f"{folder}/{file}" if folder else file
            for folder in folders
            for file in with_suffixes(name, ".mp4")
        )
        rows.append(Row(place, paths, label or None))
    return Listing(rows, None, path.parent)


def read_csv(path: Path, text: str, problems: Problems, split: str | None) -> Listing:
    """A table with a header, one column of which is the path and one the label."""
    header = header_of(text)
    path_column = _first(PATH_COLUMNS, header)
    if path_column is None:
        raise ValueError(
            "A table needs a column with the path of each video, called one of "
            f"{', '.join(PATH_COLUMNS)}, but {str(path)!r} has none. Its header: {list(header)}"
        )
    label_column = _first(LABEL_COLUMNS, header)
    count_column = _first(COUNT_COLUMNS, header)
    rows = []
    for place, fields in _chosen(path, text, problems, split):
        if not fields[path_column]:
            problems.add(place, f"`{path_column}` is empty")
            continue
        count = fields[count_column] if count_column else ""
        label = fields[label_column] if label_column else ""
        rows.append(
            Row(
                place,
                with_suffixes(fields[path_column]),
                label or None,
                frame_count(count, place, problems),
            )
        )
    return Listing(rows, None, path.parent)


def normal_split(name: str) -> str:
    """One name for each part of a data set."""
    lowered = name.strip().lower()
    return SPLIT_NAMES.get(lowered, lowered)


def _chosen(
    path: Path, text: str, problems: Problems, split: str | None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and fields of the wanted split's lines."""
    lines = list(_lines(text, problems))
    column = _first(SPLIT_COLUMNS, header_of(text))
    if column is None:
        if split not in (None, ALL_SPLITS):
            raise ValueError(
                f"{str(path)!r} has no column that tells splits apart, such as `split`. Pass "
                f"split=None, and the list of the split that is wanted. Received: split={split!r}"
            )
        yield from lines
        return
    found = sorted({normal_split(fields[column]) for _, fields in lines})
    wanted = None if split is None else normal_split(split)
    if wanted is None and len(found) > 1:
        raise ValueError(
            f"{str(path)!r} lists the splits {found} together. Pass `split` to choose one, or "
            f"split={ALL_SPLITS!r} to have them all (on the command line {SPLIT_OPTIONS})."
        )
    if wanted not in (None, ALL_SPLITS, *found):
        raise ValueError(f"{str(path)!r} lists the splits {found}. Received: split={split!r}")
    for place, fields in lines:
        if wanted in (None, ALL_SPLITS) or normal_split(fields[column]) == wanted:
            yield place, fields


def _lines(text: str, problems: Problems) -> Iterator[tuple[str, dict[str, str]]]:
    header = header_of(text)
    first = text.lstrip().split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first))
    ended = 0
    seen_header = False
    while True:
        # A quoted field may hold line ends: a row is called after the line that it begins in.
        place = f"line {ended + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            problems.add(place, f"not a line of a CSV file ({error})")
            return
        if row is None:
            return
        ended = reader.line_num
        fields = [field.strip() for field in row]
        if not any(fields):
            continue
        if not seen_header:
            seen_header = True
        elif len(fields) != len(header):
            problems.add(
                place, f"{len(fields)} fields, but the header has {len(header)}: {','.join(row)!r}"
            )
        else:
            yield place, dict(zip(header, fields, strict=True))


def _delimiter(line: str) -> str:
    return max(DELIMITERS, key=line.count)


def _first(known: tuple[str, ...], header: tuple[str, ...]) -> str | None:
    return next((column for column in known if column in header), None)
