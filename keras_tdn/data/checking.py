"""Which videos of a list are bad, before training finds out."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from keras_tdn.choices import CHECK_TIME_LIMIT as TIME_LIMIT
from keras_tdn.data import file_checks
from keras_tdn.data.failures import Failure, failure_line
from keras_tdn.data.records import RecordList
from keras_tdn.data.records.record import Record, believable_classes
from keras_tdn.data.records.tables import format_table
from keras_tdn.files.atomic import written_beside
from keras_tdn.processes import LostTaskError, WorkerPool


@dataclasses.dataclass(frozen=True, slots=True)
class FileCheck:
    """What the check of one record's file found.

    Args:
        path: Path of the file, or of the folder of frames.
        index: The record's `index`.
        label: The record's label.
        reason: Why the file is bad; empty if it is good.
        num_frames: Frames that can be read.
        height: Height of upright frames in pixels.
        width: Width of upright frames in pixels.
        seconds: Duration, where the file states its frame rate.
        num_bytes: Size of the file, or of all files of the folder.
    """

    path: str
    index: int
    label: int | None
    reason: str
    num_frames: int | None = None
    height: int | None = None
    width: int | None = None
    seconds: float | None = None
    num_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What checking a list of records found.

    Args:
        files: One check for each record, in the order of the list; then one for each path of
            `records.missing`.
        labels: Class names, if they are known.
        num_classes: Classes of the list; with `labels` as many as those.

    Example:

    >>> report = check_records(load_records("train.txt"))
    >>> [file.path for file in report.bad]
    []
    """

    files: tuple[FileCheck, ...]
    labels: tuple[str, ...] | None = None
    num_classes: int = 0

    @property
    def bad(self) -> tuple[FileCheck, ...]:
        """The files that cannot be used."""
        return tuple(file for file in self.files if file.reason)

    @property
    def good(self) -> tuple[FileCheck, ...]:
        """The others."""
        return tuple(file for file in self.files if not file.reason)

    @property
    def class_counts(self) -> dict[str, int]:
        """Good files of each class, by name or number; classes without any among them."""
        counts = Counter(file.label for file in self.good if file.label is not None)
        if self.labels is not None:
            return {name: counts[label] for label, name in enumerate(self.labels)}
        largest = max(counts, default=-1)
        # Where many classes were asked for, those without any are not all listed.
        listed = range(largest + 1) if largest < believable_classes(len(counts)) else sorted(counts)
        return {str(label): counts[label] for label in listed}

    def write_report(self, path: str | os.PathLike[str]) -> None:
        """Writes the bad files as JSON lines of `path`, `index` and `reason`.

        The form is that of `make_dataset`'s report of failures.
        """
        lines = (failure_line(Failure(file.path, file.index, file.reason)) for file in self.bad)
        with written_beside(Path(path)) as new:
            new.write_bytes(b"".join(lines))

    def write_good_list(self, path: str | os.PathLike[str]) -> None:
        """Writes the good files as a table that `load_records` reads.

        Its columns are `path`, `num_frames`, `class_name` where names are known, and `class_index`.
        A class that has lost its last video has a row without a path, so that the classes that are
        read back are those of the whole list. Whatever a file is called, the path is read back.
        """
        rows = [(os.path.abspath(file.path), file.num_frames, file.label) for file in self.good]
        content = format_table(rows, self.labels, self.num_classes)
        with written_beside(Path(path)) as new:
            new.write_bytes(content)


def check_records(
    records: RecordList,
    *,
    full: bool = False,
    num_processes: int | None = None,
    time_limit: float = TIME_LIMIT,
    on_progress: Callable[[FileCheck], None] | None = None,
) -> CheckReport:
    """Tries every video, in processes of their own that it may crash or hang.

    Use it before training on a data set that is new to you; much of what can be fetched is cut
    short or is no video. Every file is opened, its frames are counted, and eight segments of it are
    decoded, as validation does. The frames of a folder are counted and some of them decoded.

    Args:
        records: From `load_records`. With `skip_missing=True` there, files that are not there are
            bad files here.
        full: Whether to decode every file from start to end with a decoder that glosses over
            nothing. It finds files that play with damage: training can use them.
        num_processes: Files looked at side by side; one per processor by default.
        time_limit: Seconds that one file may take.
        on_progress: Called with each check as it ends, from one thread at a time.

    Returns:
        A `CheckReport`.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> report = check_records(load_records("train.txt", skip_missing=True))
    >>> len(report.good), len(report.bad)
    (2290, 3)
    """
    if num_processes is None:
        num_processes = os.cpu_count() or 1
    if isinstance(num_processes, bool) or not isinstance(num_processes, int) or num_processes < 1:
        raise ValueError(
            f"`num_processes` is a positive integer. Received: num_processes={num_processes!r}"
        )
    if isinstance(time_limit, bool) or not 0 < time_limit < math.inf:
        raise ValueError(
            f"`time_limit` is in seconds, above 0. Received: time_limit={time_limit!r}"
        )
    checks = []
    with WorkerPool(
        file_checks.make_checker,
        full,
        num_processes=max(1, min(num_processes, len(records))),
        time_limit=time_limit,
        # FFmpeg writes to standard error about what is bad, which the answers say.
        silent=True,
    ) as pool:

        def check(record: Record) -> FileCheck:
            try:
                found = pool.run(record.path)
            except LostTaskError as error:
                found = {"reason": f"Reading {record.path!r} {error}."}
            return FileCheck(record.path, record.index, record.label, **found)

        for file in pool.map(check, records):
            checks.append(file)
            if on_progress is not None:
                on_progress(file)
    # What was left out are the numbers that are not there, in the same order.
    there = {record.index for record in records}
    indices = (index for index in itertools.count() if index not in there)
    for path, index in zip(records.missing, indices, strict=False):
        reason = f"Cannot read {path!r}: there is no such file."
        checks.append(FileCheck(path, index, None, reason))
    return CheckReport(tuple(checks), records.labels, records.num_classes)
