"""Which record goes into which shard, settled before the first one is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from keras_tdn.data.packing.options import PackOptions
from keras_tdn.data.records import Record, RecordList

FORMAT_VERSION = 1


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
        """The task, with one more record given up."""
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
        """What is to be done for one shard."""
        labels = self.records.labels
        mine = tuple(self.records)[shard :: self.num_shards]
        texts = tuple(
            None if labels is None or record.label is None else labels[record.label]
            for record in mine
        )
        return ShardTask(shard, self.options, mine, texts)

    def header(self) -> dict[str, Any]:
        """What tells this packing from others, for JSON."""
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


def differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two headers differ in, for people; empty if they describe the same packing."""
    found = []
    if begun.get("format") != asked["format"]:
        found.append(f"format {begun.get('format')} of another release, not {asked['format']}")
    old_options = begun.get("options", {})
    for option, value in asked["options"].items():
        if old_options.get(option) != value:
            found.append(f"{option}={old_options.get(option)!r}, not {value!r}")
    list_fields = ("num_records", "list_sha256", "num_classes", "labels")
    if any(begun.get(field) != asked[field] for field in list_fields):
        found.append(
            f"a list of {begun.get('num_records')} other records, paths, labels or label names "
            f"than these {asked['num_records']}"
        )
    return found
