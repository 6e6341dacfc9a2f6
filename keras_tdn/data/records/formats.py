"""The formats that records are read from, and telling them apart."""

from __future__ import annotations

import os
from pathlib import Path

from keras_tdn.choices import RECORD_FORMATS as FORMATS
from keras_tdn.data.records.class_folders import read_class_folders
from keras_tdn.data.records.rows import Listing, Problems
from keras_tdn.data.records.something_json import read_something_v2
from keras_tdn.data.records.splits import UCF101_FILE, hmdb51_files, read_hmdb51, read_ucf101
from keras_tdn.data.records.tables import (
    first_line,
    has_header,
    is_kinetics,
    read_csv,
    read_kinetics,
)
from keras_tdn.data.records.text_lists import read_list, read_something_v1
from keras_tdn.files.text import is_text, read_text

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
    """The rows of a file or folder.

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
