"""The shards of a packing: what is finished of them, and how one is made."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_tdn.data.packing.frames_to_jpeg import encode_frames
from keras_tdn.data.packing.index import (
    INDEX_FILE,
    FailedRecord,
    PackedRecord,
    PackedShard,
    shard_problem,
)
from keras_tdn.data.packing.packing_plan import PackingPlan, ShardTask, differences
from keras_tdn.data.packing.sequence_example import to_sequence_example
from keras_tdn.files.atomic import put_in_place, sha256_of, write_whole
from keras_tdn.files.resumable_folder import TEMPORARY_SUFFIX, FolderKind, ResumableFolder
from keras_tdn.processes import use_tensorflow_on_one_core

# Inside the folder of the shards while they are being made: what is finished, what is not yet.
WORKPLACE = ".packing"
KIND = FolderKind(
    INDEX_FILE, WORKPLACE, "pack into", "packing", "Pack with the same list and options"
)
# Length and its checksum before a record's content, checksum behind.
FRAMING_BYTES = 16

# A shard to make, with what an earlier run has noted of it.
Job = tuple[ShardTask, PackedShard | None]


class PackingFolder:
    """The folder of a packing: it knows what is done, and refuses one of another list or options.

    Args:
        path: The folder; it is made if it is not there.

    Raises:
        ValueError: if it has files of something else, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = ResumableFolder(path, KIND)

    def start(self, plan: PackingPlan, overwrite: bool) -> list[Job]:
        """Prepares the folder for a plan, and returns its shards with what is noted of them.

        Raises:
            ValueError: if it was started with other records or options, unless `overwrite`.
        """
        if overwrite:
            self._folder.clear(self._shard_patterns())
        self._folder.prepare(plan.header(), differences)
        noted = self.noted(plan)
        return [(plan.task(shard), noted.get(shard)) for shard in range(plan.num_shards)]

    def finish(self, plan: PackingPlan, shards: list[PackedShard]) -> None:
        """Writes the index, and removes what only an unfinished packing needs."""
        self._folder.conclude(plan.header(), [shard.to_config() for shard in shards])

    def noted(self, plan: PackingPlan) -> dict[int, PackedShard]:
        """Returns what is noted of each shard that was finished, by this run or an earlier one."""
        noted = {}
        path_of = functools.partial(notes_path, self.path)
        for shard, config in self._folder.noted(plan.num_shards, path_of).items():
            # Of notes that cannot be read, the shard is made again.
            with contextlib.suppress(KeyError, TypeError):
                noted[shard] = PackedShard.from_config(config)
        return noted

    def _shard_patterns(self) -> set[str]:
        started = [header["options"] for header in self._folder.headers() if "options" in header]
        return {
            f"{options['name']}-*-of-{options['num_shards']:05d}.tfrecord" for options in started
        }


def notes_path(folder: Path, shard: int) -> Path:
    """Returns where it is noted what a finished shard holds, until there is an index."""
    return folder / WORKPLACE / f"{shard:05d}.json"


def make_packer(
    folder: Path, retry_failures: bool
) -> Callable[[Job, Callable[[int], None]], tuple[PackedShard, bool]]:
    """Returns `finish_shard` for the tasks of a `WorkerPool`."""
    use_tensorflow_on_one_core()
    return lambda job, starts: finish_shard(job, folder, retry_failures, starts)


def finish_shard(
    job: Job, folder: Path, retry_failures: bool, starts: Callable[[int], Any]
) -> tuple[PackedShard, bool]:
    """Makes a shard unless it is finished.

    Args:
        job: The shard.
        folder: Where shards lie.
        retry_failures: Whether one with failures is made again.
        starts: Called with the place of each record before it is decoded.

    Returns:
        What the shard holds, and whether it was finished before.

    Raises:
        OSError: if it cannot be written.
    """
    task, noted = job
    if (
        noted is not None
        and noted.name == task.options.shard_name(task.shard)
        and not (retry_failures and noted.failures)
        and not shard_problem(str(folder / noted.name), noted, hashes=True)
    ):
        return noted, True
    return make_shard(task, folder, starts), False


def make_shard(task: ShardTask, folder: Path, starts: Callable[[int], None]) -> PackedShard:
    """Makes a shard, puts it in place and notes what it holds.

    The file comes first and the note second: a shard without its note is made again, to the same
    bytes, and one with it is finished.

    Args:
        task: The shard's records and options.
        folder: Where shards lie; its workplace is there.
        starts: Called with the place of each record before it is decoded.

    Raises:
        OSError: if the shard cannot be written.
    """
    workplace = folder / WORKPLACE
    name = task.options.shard_name(task.shard)
    # The process is named because one that lost its parent may still be at the same shard.
    temporary = workplace / f"{name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    try:
        shard = write_shard(task, temporary, starts)
        put_in_place(temporary, folder / name)
        notes = notes_path(folder, task.shard)
        write_whole(notes, json.dumps(shard.to_config()).encode(), temporary)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return shard


def write_shard(task: ShardTask, path: Path, starts: Callable[[int], None]) -> PackedShard:
    """Writes a shard's records to a file; videos that cannot be read are noted and left out.

    Raises:
        OSError: if the file cannot be written.
    """
    import tensorflow as tf

    skipped = dict(task.skipped)
    records: list[PackedRecord] = []
    failures: list[FailedRecord] = []
    offset = 0
    try:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for place, record in enumerate(task.records):
                starts(place)
                if place in skipped:
                    failures.append(FailedRecord(record.index, record.path, skipped[place]))
                    continue
                made = _encode(task, place, offset)
                if isinstance(made, FailedRecord):
                    failures.append(made)
                    continue
                content, packed = made
                writer.write(content)
                records.append(packed)
                offset += packed.num_bytes
    except tf.errors.OpError as error:
        raise OSError(error.message) from error
    size = path.stat().st_size
    if size != offset:
        raise OSError(f"{offset} bytes were written to {str(path)!r}, but it has {size}")
    return PackedShard(
        task.options.shard_name(task.shard),
        offset,
        sha256_of(path),
        tuple(records),
        tuple(failures),
    )


def _encode(task: ShardTask, place: int, offset: int) -> tuple[bytes, PackedRecord] | FailedRecord:
    record = task.records[place]
    try:
        frames = encode_frames(record.path, task.options)
        content = to_sequence_example(record, task.texts[place], frames)
    except Exception as error:
        # One video must not end a run of days, whatever it does; the reason says what it was.
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return FailedRecord(record.index, record.path, f"{kind}{error}")
    packed = PackedRecord(
        record.index,
        record.path,
        record.label,
        len(frames.pictures),
        frames.height,
        frames.width,
        offset,
        len(content) + FRAMING_BYTES,
        task.shard,
    )
    return content, packed
