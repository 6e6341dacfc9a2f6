"""Which videos of a list are bad, before training finds out."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tdn.choices import CHECK_TIME_LIMIT as TIME_LIMIT
from keras_tdn.data.decoding import VideoDecodeError, read_frames
from keras_tdn.data.failures import Failure, failure_line
from keras_tdn.data.jpeg_frames import scan_frame_folder
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames
from keras_tdn.data.packing.index import PackedRecord
from keras_tdn.data.packing.sequence_example import frame_rate
from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.records.record import believable_classes
from keras_tdn.data.records.tables import format_table
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.files.atomic import write_beside
from keras_tdn.worker_pool import (
    LostTaskError,
    WorkerPool,
    process_count,
    use_tensorflow_on_one_core,
)

# The clip of validation: frames from all over the video.
NUM_SEGMENTS = 8
# Frames of a packed record that are decoded at a time.
FRAMES_AT_A_TIME = 40

# A record's path, or the path of a shard and what lies in it.
Source = str | tuple[str, PackedRecord]


@dataclasses.dataclass(frozen=True, slots=True)
class FileCheck:
    """What the check of one record's file, or folder of frames, found.

    `reason` says why it is bad, and is empty if it is good. The other figures are those of what can
    be read: upright frames, in pixels; `seconds` where the file states its frame rate.
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

    `files` has a check for each record, in the order of the list, then one for each path of
    `records.missing`; `labels` and `num_classes` are those of the list.
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
        """Writes the bad files in the form of `make_dataset`'s report of failures."""
        lines = (failure_line(Failure(file.path, file.index, file.reason)) for file in self.bad)
        write_beside(path, b"".join(lines))

    def write_good_list(self, path: str | os.PathLike[str]) -> None:
        """Writes the good files, and all classes of the list, as `load_records` reads them back."""
        rows = [(os.path.abspath(file.path), file.num_frames, file.label) for file in self.good]
        write_beside(path, format_table(rows, self.labels, self.num_classes))


def check_records(
    records: RecordList,
    *,
    full: bool = False,
    num_processes: int | None = None,
    time_limit: float = TIME_LIMIT,
    on_progress: Callable[[FileCheck], None] | None = None,
) -> CheckReport:
    """Tries every video, in processes of their own that it may crash or hang.

    Use it before training on a data set that is new to you. Of a video, of a folder of frames and
    of a packed record, the frames are counted and eight segments decoded, as validation does.

    Args:
        records: From `load_records`, or `load_packed` with `check_files=False`. With
            `skip_missing=True`, files that are not there are bad files here.
        full: Whether to decode every file from start to end with a decoder that glosses over
            nothing. It finds files that play with damage: training can use them.
        num_processes: Files looked at side by side; one per processor by default.
        time_limit: Seconds that one file may take.
        on_progress: Called with each check as it ends, from one thread at a time.

    Example:

    >>> report = check_records(load_records("train.txt", skip_missing=True))
    >>> len(report.good), len(report.bad)
    (2290, 3)
    """
    num_processes = process_count(num_processes)
    if isinstance(time_limit, bool) or not 0 < time_limit < math.inf:
        raise ValueError(
            f"`time_limit` is in seconds, above 0. Received: time_limit={time_limit!r}"
        )
    checks = []
    shards = records.packing.paths if isinstance(records, PackedRecordList) else []
    with WorkerPool(
        make_checker,
        full,
        bool(shards),
        num_processes=max(1, min(num_processes, len(records))),
        time_limit=time_limit,
        # FFmpeg writes to standard error about what is bad, which the answers say.
        silent=True,
    ) as pool:

        def check(record: Record) -> FileCheck:
            source: Source = record.path
            if shards and isinstance(record, PackedRecord):
                source = shards[record.shard], record
            try:
                found = pool.run(source)
            except LostTaskError as error:
                found = {"reason": f"Reading {record.path!r} {error}."}
            return FileCheck(record.path, record.index, record.label, **found)

        for file in pool.map(check, records):
            checks.append(file)
            if on_progress is not None:
                on_progress(file)
    for record in records.missing_records():
        reason = f"Cannot read {record.path!r}: there is no such file."
        checks.append(FileCheck(record.path, record.index, None, reason))
    return CheckReport(tuple(checks), records.labels, records.num_classes)


def make_checker(full: bool, packed: bool) -> Callable[[Source, Any], dict[str, Any]]:
    """Returns what a `WorkerPool` calls with each source: see `look_at`."""
    if packed:
        use_tensorflow_on_one_core()
    return lambda source, send: look_at(source, full)


def look_at(source: Source, full: bool) -> dict[str, Any]:
    """Returns what `FileCheck` holds of a file, with a `reason` if it is bad."""
    try:
        if not isinstance(source, str):
            answer = _look_at_packed(*source, full)
        elif os.path.isdir(source):
            answer = _look_at_folder(source, full)
        else:
            answer = _look_at_video(source, full)
    except (ValueError, OSError) as error:
        return {"reason": str(error)}
    except Exception as error:
        # One strange file is not to end the run; what it was is in the reason.
        return {"reason": f"{type(error).__name__}: {error}"}
    return {"reason": "", **answer}


def _wanted(num_frames: int, full: bool) -> np.ndarray:
    return np.arange(num_frames) if full else np.unique(SegmentSampler(NUM_SEGMENTS)(num_frames))


def _look_at_video(path: str, full: bool) -> dict[str, Any]:
    counts = [0]

    def choose(count: int) -> Any:
        counts.append(count)
        return _wanted(count, full=False)

    size = read_frames(path, choose).shape[1:3]
    answer = _found(counts[-1], size, os.path.getsize(path))
    if rate := frame_rate(path):
        answer["seconds"] = counts[-1] / rate
    if full and (damage := _damage(path)):
        answer["reason"] = f"{path!r} plays, but with damage: {damage}"
    return answer


def _found(num_frames: int, size: tuple[int, ...], num_bytes: int) -> dict[str, Any]:
    return {"num_frames": num_frames, "height": size[0], "width": size[1], "num_bytes": num_bytes}


def _look_at_folder(path: str, full: bool) -> dict[str, Any]:
    paths = scan_frame_folder(path).paths
    size: tuple[int, ...] = ()
    for index in _wanted(len(paths), full):
        # A picture is a video of one frame.
        frame = read_frames(paths[index], lambda num_frames: [0])[0]
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise VideoDecodeError(
                f"The frames in {path!r} differ in size: {size[0]}x{size[1]} at first, and "
                f"{frame.shape[0]}x{frame.shape[1]} in {os.path.basename(paths[index])!r}. Extract "
                "them again, all of one size."
            )
    return _found(len(paths), size, sum(map(os.path.getsize, paths)))


def _look_at_packed(shard: str, record: PackedRecord, full: bool) -> dict[str, Any]:
    import tensorflow as tf

    wanted = _wanted(record.num_frames, full)
    try:
        for start in range(0, len(wanted), FRAMES_AT_A_TIME):
            decode_packed_frames(shard, record.offset, wanted[start : start + FRAMES_AT_A_TIME])
    except tf.errors.OpError as error:
        raise VideoDecodeError(
            f"Cannot read the packed record of {record.path!r}: it is damaged, or the shard "
            f"{shard!r} is missing or cut short ({error.message}). Copy or pack the shard again."
        ) from error
    return _found(record.num_frames, (record.height, record.width), record.num_bytes)


def _damage(path: str) -> str:
    """Returns what a decoder that glosses over nothing complains of."""
    import av

    from keras_tdn.data.decoding import pyav_container

    with pyav_container.open_container(repr(path), path) as container:
        stream = pyav_container.video_stream(repr(path), container)
        pyav_container.prepare_codec(stream, 1, strict=True)
        num_packets = num_damaged = 0
        complaint = ""
        try:
            for packet in container.demux(stream):
                num_packets += packet.size > 0
                try:
                    stream.decode(packet)
                except av.EOFError:
                    break
                except av.FFmpegError as error:
                    num_damaged += 1
                    complaint = complaint or pyav_container.reason(error)
        except (av.FFmpegError, OSError) as error:
            return f"it ends after {num_packets} packets ({pyav_container.reason(error)})"
    return f"{num_damaged} of {num_packets} packets ({complaint})" if num_damaged else ""
