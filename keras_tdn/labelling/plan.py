"""Which video goes into which file, settled before the first one is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from keras_tdn.data.records import Record, RecordList
from keras_tdn.labelling.options import LabelOptions

FORMAT_VERSION = 1


class LabelPlan:
    """A list of videos, options and a model: they alone decide every row and its place.

    Consecutive videos share a shard, so that shards one after the other have the list's order.

    Args:
        records: The videos.
        options: What a row says.
        identity: What else rows follow from, for JSON.
    """

    def __init__(
        self, records: RecordList, options: LabelOptions, identity: Mapping[str, Any]
    ) -> None:
        self.records = records
        self.options = options
        self._identity = dict(identity)

    @property
    def num_shards(self) -> int:
        """Shards there will be."""
        return -(-len(self.records) // self.options.videos_per_shard)

    def rows_of(self, shard: int) -> range:
        """Positions in the list of a shard's videos."""
        size = self.options.videos_per_shard
        return range(shard * size, min((shard + 1) * size, len(self.records)))

    def records_of(self, shard: int) -> list[Record]:
        """A shard's videos."""
        return [self.records[row] for row in self.rows_of(shard)]

    def name_of(self, shard: int) -> str:
        """A shard's file name."""
        return self.options.shard_name(shard, self.num_shards)

    def header(self) -> dict[str, Any]:
        """What tells this labelling from others, for JSON."""
        listed = [[record.index, record.path] for record in self.records]
        content = json.dumps(listed, separators=(",", ":")).encode()
        header = {
            "version": FORMAT_VERSION,
            "num_videos": len(self.records),
            "list_sha256": hashlib.sha256(content).hexdigest(),
            "options": self.options.to_config(),
            **self._identity,
        }
        # As it will be read back: tuples are lists there.
        return json.loads(json.dumps(header))


def differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two headers differ in, for people; empty if they describe the same labelling."""
    if begun.get("version") != asked["version"]:
        return [f"version {begun.get('version')!r} of these files, not {asked['version']!r}"]
    found = []
    options = begun.get("options", {})
    for name, value in asked["options"].items():
        if options.get(name) != value:
            found.append(f"{name}={options.get(name)!r}, not {value!r}")
    if any(begun.get(name) != asked[name] for name in ("num_videos", "list_sha256")):
        found.append(
            f"a list of {begun.get('num_videos')} other videos than these {asked['num_videos']}"
        )
    rest = set(asked) - {"version", "options", "num_videos", "list_sha256"}
    others = sorted(name for name in rest if begun.get(name) != asked[name])
    return found + [f"other {name}" for name in others]
