"""The shards of a packing: which videos they hold, what is finished, and how one is made."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_tdn.data.failures import Failure
from keras_tdn.data.packing.index import INDEX_FILE, PackedRecord, PackedShard, PackOptions
from keras_tdn.data.packing.sequence_example import encode_record
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.atomic import put_in_place, sha256_of, write_whole
from keras_tdn.files.resumable_folder import TEMPORARY_SUFFIX, FolderKind, ResumableFolder
from keras_tdn.worker_pool import use_tensorflow_on_one_core

FORMAT_VERSION = 1
# Inside the folder of the shards while they are being made: what is finished, what is not yet.
WORKPLACE = ".packing"
KIND = FolderKind(
    INDEX_FILE, WORKPLACE, "pack into", "packing", "Pack with the same list and options"
)
# Length and its checksum before a record's content, checksum behind.
FRAMING_BYTES = 16


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard in a folder.

    `labels` are the names of all classes, `noted` is what an earlier run has noted of the shard, if
    it may stay, and `skipped` says by place in `records` why one is not to be tried again.
    """

    folder: Path
    shard: int
    options: PackOptions
    records: tuple[Record, ...]
    labels: tuple[str, ...] | None
    noted: PackedShard | None = None
    skipped: tuple[tuple[int, str], ...] = ()

    @property
    def name(self) -> str:
        return self.options.shard_name(self.shard)


class PackingFolder:
    """The folder of a packing: it knows what is done, and refuses one of another list or options.

    Records are dealt out to the shards in turn: a list is often sorted by class, and so each shard
    has about as many of each.
    """

    def __init__(self, path: Path, records: RecordList, options: PackOptions) -> None:
        if not len(records):
            raise ValueError("There is nothing to pack: the list has no records.")
        self.path = path
        self.options = options.for_records(len(records))
        self.num_shards = self.options.num_shards or 0
        self.num_records = len(records)
        self._records = records
        self._folder = ResumableFolder(path, KIND)

    def start(self, overwrite: bool, retry_failures: bool) -> list[ShardTask]:
        """Prepares the folder, and returns its shards with what is noted of them; see `pack`."""
        if overwrite:
            headers = self._folder.headers()
            started = [header["options"] for header in headers if "options" in header]
            self._folder.clear(
                f"{options['name']}-*-of-{options['num_shards']:05d}.tfrecord"
                for options in started
            )
        self._folder.prepare(self._header())
        noted = self.noted()
        tasks = []
        for shard in range(self.num_shards):
            records = tuple(self._records[shard :: self.num_shards])
            task = ShardTask(self.path, shard, self.options, records, self._records.labels)
            old = noted.get(shard)
            if old and old.name == task.name and not (retry_failures and old.failures):
                task = dataclasses.replace(task, noted=old)
            tasks.append(task)
        return tasks

    def noted(self) -> dict[int, PackedShard]:
        """Returns what is noted of each shard that was finished, by this run or an earlier one."""
        noted = {}
        path_of = functools.partial(_notes_path, self.path)
        for shard, config in self._folder.noted(self.num_shards, path_of).items():
            # Of notes that cannot be read, the shard is made again.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                noted[shard] = PackedShard.from_config(config)
        return noted

    def finish(self, shards: list[PackedShard]) -> None:
        """Writes the index, and removes what only an unfinished packing needs."""
        self._folder.conclude(self._header(), [dataclasses.asdict(shard) for shard in shards])

    def _header(self) -> dict[str, Any]:
        labels = self._records.labels
        rows = [[record.index, record.path, record.label] for record in self._records]
        content = json.dumps([rows, labels], separators=(",", ":")).encode()
        return {
            "format": FORMAT_VERSION,
            "options": dataclasses.asdict(self.options),
            "num_records": len(self._records),
            "list_sha256": hashlib.sha256(content).hexdigest(),
            "num_classes": self._records.num_classes,
            "labels": None if labels is None else list(labels),
        }


def _notes_path(folder: Path, shard: int) -> Path:
    return folder / WORKPLACE / f"{shard:05d}.json"


def make_packer() -> Callable[[ShardTask, Callable[[int], None]], tuple[PackedShard, bool]]:
    """Returns what works on the tasks of a `WorkerPool`."""
    use_tensorflow_on_one_core()
    return finish_shard


def finish_shard(task: ShardTask, starts: Callable[[int], Any]) -> tuple[PackedShard, bool]:
    """Makes a shard unless it is finished, and returns whether it was; see `make_shard`."""
    if task.noted is not None and not task.noted.problem(task.folder, hashes=True):
        return task.noted, True
    return make_shard(task, starts), False


def make_shard(task: ShardTask, starts: Callable[[int], None]) -> PackedShard:
    """Makes a shard, puts it in place and notes what it holds; an `OSError` if it cannot.

    `starts` is called with the place of each record before it is decoded.
    The file comes first and the note second: a shard without its note is made again, to the same
    bytes, and one with it is finished.
    """
    # The process is named because one that lost its parent may still be at the same shard.
    temporary = task.folder / WORKPLACE / f"{task.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    try:
        shard = _write_shard(task, temporary, starts)
        put_in_place(temporary, task.folder / task.name)
        notes = _notes_path(task.folder, task.shard)
        write_whole(notes, json.dumps(dataclasses.asdict(shard)).encode(), temporary)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return shard


def _write_shard(task: ShardTask, path: Path, starts: Callable[[int], None]) -> PackedShard:
    """Writes a shard's records to a file; videos that cannot be read are noted and left out."""
    import tensorflow as tf

    skipped = dict(task.skipped)
    records: list[PackedRecord] = []
    failures: list[Failure] = []
    offset = 0
    try:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for place, record in enumerate(task.records):
                starts(place)
                made = skipped.get(place) or _encode(task, place, offset)
                if isinstance(made, str):
                    failures.append(Failure(record.path, record.index, made))
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
    return PackedShard(task.name, offset, sha256_of(path), tuple(records), tuple(failures))


def _encode(task: ShardTask, place: int, offset: int) -> tuple[bytes, PackedRecord] | str:
    """Returns a record's bytes and what the index says of it, or why there are none."""
    record, labels = task.records[place], task.labels
    text = None if labels is None or record.label is None else labels[record.label]
    try:
        content, num_frames, (height, width) = encode_record(record, text, task.options)
    except Exception as error:
        # One video must not end a run of days, whatever it does; the reason says what it was.
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return f"{kind}{error}"
    packed = PackedRecord(
        record.path,
        record.label,
        index=record.index,
        num_frames=num_frames,
        height=height,
        width=width,
        offset=offset,
        num_bytes=len(content) + FRAMING_BYTES,
        shard=task.shard,
    )
    return content, packed
