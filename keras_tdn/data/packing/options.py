"""What decides the bytes of a packing, besides the list of records."""

from __future__ import annotations

import dataclasses
import re

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
        name: What the files' names begin with.

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
        """The options with the number of shards settled.

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
