"""One shard, from its records to a finished file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from keras_tdn.data.packing.frames_to_jpeg import encode_frames
from keras_tdn.data.packing.index import FailedRecord, PackedRecord, PackedShard, shard_problem
from keras_tdn.data.packing.plan import ShardTask
from keras_tdn.data.packing.sequence_example import to_sequence_example
from keras_tdn.files.resumable_folder import TEMPORARY_SUFFIX
from keras_tdn.files.storage import put_in_place, sha256_of, write_whole

# Inside the folder of the shards while they are being made: what is finished, what is not yet.
WORKPLACE = ".packing"
# Length and its checksum before a record's content, checksum behind.
FRAMING_BYTES = 16


def notes_path(folder: Path, shard: int) -> Path:
    """Where it is noted what a finished shard holds, until there is an index."""
    return folder / WORKPLACE / f"{shard:05d}.json"


def finished_shard(
    task: ShardTask, folder: Path, noted: PackedShard | None, retry_failures: bool
) -> PackedShard | None:
    """What is `noted` of a shard, if its file is the one noted and need not be made again."""
    if noted is None or noted.name != task.options.shard_name(task.shard):
        return None
    if retry_failures and noted.failures:
        return None
    return None if shard_problem(str(folder / noted.name), noted, hashes=True) else noted


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
