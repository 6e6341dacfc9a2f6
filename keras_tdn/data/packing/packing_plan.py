"""What decides every byte of a packing: the list of records and the options."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

from keras_tdn.data.records import Record, RecordList

FORMAT_VERSION = 1
# A shard is the unit of work: what a killed run repeats. With ten-second videos it is 0.4 GB.
RECORDS_PER_SHARD = 64
# Readers and writers work on shards side by side, so that small sets have several as well.
LEAST_SHARDS = 16

LIMITS = {"short_side": (1, 4096), "quality": (1, 100), "num_shards": (1, 99999)}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class PackOptions:
    """How frames are stored, and in how many files.

    Args:
        short_side: Pixels that a frame's short side is shrunk to. Smaller frames are not enlarged:
            that would cost space and add nothing.
        quality: Of the JPEG frames, from 1 to 100.
        num_shards: Number of files; `None` for one per 64 records, but at least 16 where there are
            as many records.
        name: How the files' names start.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> PackOptions(num_shards=64).shard_name(3)
    'videos-00003-of-00064.tfrecord'
    """

    short_side: int = 256
    quality: int = 90
    num_shards: int | None = None
    name: str = "videos"

    def __post_init__(self) -> None:
        for field, (least, most) in LIMITS.items():
            value = getattr(self, field)
            if field == "num_shards" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(
                    f"Packing needs an integer from {least} to {most} for `{field}`. "
                    f"Received: {field}={value!r}"
                )
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ValueError(
                "Packing needs a `name` of letters, digits, '_', '-' and '.', because files are "
                f"called by it. Received: name={self.name!r}"
            )

    def for_records(self, num_records: int) -> PackOptions:
        """Returns the options with the number of shards settled.

        Raises:
            ValueError: if there would be shards without a record.
        """
        if self.num_shards is None:
            wanted = -(-num_records // RECORDS_PER_SHARD)
            shards = max(wanted, min(num_records, LEAST_SHARDS))
            return dataclasses.replace(self, num_shards=shards)
        if self.num_shards > num_records:
            raise ValueError(
                f"There are {num_records} records, too few for `num_shards` files. "
                f"Received: num_shards={self.num_shards}"
            )
        return self

    def shard_name(self, shard: int) -> str:
        """File name of the shard with that number."""
        return f"{self.name}-{shard:05d}-of-{self.num_shards:05d}.tfrecord"


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to make one shard.

    Args:
        shard: Number of the shard.
        options: With the number of shards settled.
        records: The shard's records, in order.
        texts: The name of each record's class, or `None`.
        skipped: By place in `records`, why one is not to be tried again.
    """

    shard: int
    options: PackOptions
    records: tuple[Record, ...]
    texts: tuple[str | None, ...]
    skipped: tuple[tuple[int, str], ...] = ()

    def without(self, place: int, reason: str) -> ShardTask:
        """Returns the task, with one more record given up."""
        return dataclasses.replace(self, skipped=(*self.skipped, (place, reason)))


class PackingPlan:
    """A list of records and options: they alone decide every byte of the result.

    Records are dealt out to the shards in turn. A list is often sorted by class, and so each shard
    still has about as many of each.
    """

    def __init__(self, records: RecordList, options: PackOptions) -> None:
        if not len(records):
            raise ValueError("There is nothing to pack: the list has no records.")
        self.records = records
        self.options = options.for_records(len(records))

    @property
    def num_shards(self) -> int:
        """Shards there will be."""
        return self.options.num_shards or 0

    def task(self, shard: int) -> ShardTask:
        """Returns what is to be done for one shard."""
        labels = self.records.labels
        mine = tuple(self.records)[shard :: self.num_shards]
        texts = tuple(
            None if labels is None or record.label is None else labels[record.label]
            for record in mine
        )
        return ShardTask(shard, self.options, mine, texts)

    def header(self) -> dict[str, Any]:
        """Returns the identity of this packing, as JSON values."""
        labels = self.records.labels
        rows = [[record.index, record.path, record.label] for record in self.records]
        content = json.dumps([rows, labels], separators=(",", ":")).encode()
        return {
            "format": FORMAT_VERSION,
            "options": dataclasses.asdict(self.options),
            "num_records": len(self.records),
            "list_sha256": hashlib.sha256(content).hexdigest(),
            "num_classes": self.records.num_classes,
            "labels": None if labels is None else list(labels),
        }
