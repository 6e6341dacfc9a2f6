"""Which videos are to be labelled: all that a list names, whether they are there or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_tdn.data.packing.index import INDEX_FILE
from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.records.class_folders import Skipped, videos_below
from keras_tdn.data.records.load import RecordSource, load_records
from keras_tdn.data.records.record import check_indices
from keras_tdn.data.records.rows import VIDEO_SUFFIXES


def list_videos(source: RecordList | RecordSource, **how: Any) -> RecordList:
    """The videos to label, in order.

    Unlike training and evaluation, labelling does not need to know what videos show, takes any
    folder of videos, and keeps files that are not there: they have a row that says so.

    Args:
        source: A `RecordList`; what `load_records` takes; a folder with videos in it, or in folders
            in it, taken by name; or a folder that `pack` has written.
        **how: `format`, `root`, `split` and `fold` of `load_records`.

    Returns:
        Records with an `index` each of its own.

    Raises:
        ValueError: if there is no such list, nothing is listed, or none of it is there.
    """
    how = {name: value for name, value in how.items() if value is not None}
    records = source if isinstance(source, RecordList) else _load(source, how)
    if not records:
        raise ValueError("There is nothing to label: the list has no videos.")
    check_indices(records)
    return records


def _load(source: RecordSource, how: dict[str, Any]) -> RecordList:
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source) and not how:
        if os.path.isfile(os.path.join(source, INDEX_FILE)):
            from keras_tdn.data import load_packed

            return load_packed(source)
        return _folder(Path(source))
    records = load_records(source, skip_missing=True, believe_labels=True, **how)
    if not records.missing:
        return records
    # What was left out are the numbers that are not there, in the same order.
    there = {record.index: record for record in records}
    missing = iter(records.missing)
    total = len(records) + len(records.missing)
    return RecordList(
        there[index] if index in there else Record(next(missing), None, index=index)
        for index in range(total)
    )


def _folder(folder: Path) -> RecordList:
    folder = folder.expanduser().absolute()
    skipped = Skipped(folder)
    paths = [str(folder / path) for path in videos_below(folder, os.curdir, skipped)]
    skipped.warn()
    if not paths:
        raise ValueError(
            f"There is no video in the folder {str(folder)!r} or in those in it. Videos end in "
            f"{', '.join(VIDEO_SUFFIXES)}; a benchmark's folder of lists needs its `format` (on "
            "the command line --format)."
        )
    return RecordList(Record(path, None, index=index) for index, path in enumerate(paths))
