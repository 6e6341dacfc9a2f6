"""How videos are packed, and what a packing holds: shards, records and failures."""

from __future__ import annotations

import dataclasses
import json
import operator
import os
import re
from pathlib import Path
from typing import Any

from keras_tdn.data.failures import Failure
from keras_tdn.data.records import Record
from keras_tdn.files.atomic import sha256_of
from keras_tdn.specs import check_field, is_positive_int

INDEX_FILE = "index.json"
MAX_PROBLEMS_SHOWN = 5
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
        short_side: Pixels that a frame's short side is shrunk to. Smaller frames stay as they are.
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
            is_right = is_positive_int(value) and least <= value <= most
            is_left_out = field == "num_shards" and value is None
            wanted = f"an integer from {least} to {most}"
            check_field(self, field, is_right or is_left_out, wanted)
        is_name = isinstance(self.name, str) and bool(NAME.fullmatch(self.name))
        wanted = "letters, digits, '_', '-' and '.', which file names may have,"
        check_field(self, "name", is_name, wanted)

    def for_records(self, num_records: int) -> PackOptions:
        """Returns the options with the number of shards; a `ValueError` if one would be empty."""
        if self.num_shards is None:
            shards = max(-(-num_records // RECORDS_PER_SHARD), min(num_records, LEAST_SHARDS))
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PackedRecord(Record):
    """One video, packed: a `Record`, and where and how its frames are stored.

    Args:
        num_frames: Frames stored: all that decode.
        height, width: Size of the stored frames in pixels.
        offset, num_bytes: Where the record starts in its shard, and what it takes there.
        shard: Number of the shard.
    """

    num_frames: int
    height: int
    width: int
    offset: int
    num_bytes: int
    shard: int


@dataclasses.dataclass(frozen=True)
class PackedShard:
    """One finished file.

    Args:
        name, num_bytes: Its file name and size.
        sha256: SHA-256 of its content, hexadecimal.
        records: What it holds, in order.
        failures: What it was to hold as well.
    """

    name: str
    num_bytes: int
    sha256: str
    records: tuple[PackedRecord, ...]
    failures: tuple[Failure, ...]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PackedShard:
        """Rebuilds what `dataclasses.asdict` gave of one."""
        records = tuple(PackedRecord(**record) for record in config["records"])
        failures = tuple(Failure(**failure) for failure in config["failures"])
        return cls(config["name"], config["num_bytes"], config["sha256"], records, failures)

    def problem(self, folder: str | os.PathLike[str], hashes: bool) -> str:
        """Returns what is wrong with the file in that folder; empty if nothing is."""
        path = os.path.join(folder, self.name)
        try:
            size = os.path.getsize(path)
            if size != self.num_bytes:
                return f"it has {size} bytes instead of {self.num_bytes}"
            if hashes and sha256_of(path) != self.sha256:
                return "its content has another SHA-256"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        return ""


@dataclasses.dataclass(frozen=True)
class PackedIndex:
    """A packing: where it lies and what it holds. `load_packed_index` reads one.

    Args:
        folder: The folder of the shards.
        options: What it was packed with.
        labels, num_classes: As of a `RecordList`.
        shards: The files.

    Example:

    >>> index = load_packed_index("packed/train")
    >>> index.num_records, index.records[0].num_frames
    (150, 57)
    """

    folder: str
    options: PackOptions
    labels: tuple[str, ...] | None
    num_classes: int
    shards: tuple[PackedShard, ...]

    @property
    def records(self) -> tuple[PackedRecord, ...]:
        """What is packed, in the order of the list."""
        found = (record for shard in self.shards for record in shard.records)
        return tuple(sorted(found, key=operator.attrgetter("index")))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What is not, in the order of the list."""
        found = (failure for shard in self.shards for failure in shard.failures)
        return tuple(sorted(found, key=operator.attrgetter("index")))

    @property
    def num_records(self) -> int:
        """Records that are packed."""
        return sum(len(shard.records) for shard in self.shards)

    @property
    def paths(self) -> list[str]:
        """Paths of the shards, in order."""
        return [os.path.join(self.folder, shard.name) for shard in self.shards]

    def check(self, hashes: bool = False) -> None:
        """Raises a `ValueError` if files are missing or differ from the index in size.

        Use it before training on a copy. With `hashes`, all are read to compare their SHA-256 too.
        """
        problems = [
            f"  {shard.name}: {problem}"
            for shard in self.shards
            if (problem := shard.problem(self.folder, hashes))
        ]
        if problems:
            shown = problems[:MAX_PROBLEMS_SHOWN]
            if len(problems) > len(shown):
                shown.append(f"  and {len(problems) - len(shown)} more")
            raise ValueError(
                f"{len(problems)} of {len(self.shards)} shards in {self.folder!r} are not as "
                "packed:\n" + "\n".join(shown) + "\nCopy them again, or pack again with the same "
                "list and options (on the command line with --resume), which replaces these alone."
            )


def is_packed(source: str | os.PathLike[str]) -> bool:
    """Returns whether a path is a folder that `pack` has filled."""
    return os.path.isfile(os.path.join(source, INDEX_FILE))


def load_packed_index(source: str | os.PathLike[str]) -> PackedIndex:
    """Reads the index of a packing, whose folder may have been moved.

    `source` is the folder that `pack` wrote, or the path of its `index.json`. A `ValueError` says
    that there is none, or that it is damaged.

    Example:

    >>> load_packed_index("packed/train").labels
    ('Jump', 'Run', 'Sit', 'Stand', 'Turn', 'Walk')
    """
    path = Path(source)
    if path.is_dir() or path.name != INDEX_FILE:
        path = path / INDEX_FILE
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(
            f"There is no {INDEX_FILE} to read in {str(path.parent)!r} ({error.strerror}). Pass "
            "the folder that `keras-tdn pack` wrote; an unfinished one gets its index when the "
            "same command is run to its end with --resume."
        ) from error
    try:
        config = json.loads(text)
        labels = config["labels"]
        return PackedIndex(
            os.path.abspath(path.parent),
            PackOptions(**config["options"]),
            None if labels is None else tuple(labels),
            config["num_classes"],
            tuple(PackedShard.from_config(shard) for shard in config["shards"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged or of another release ({type(error).__name__}: {error}). "
            "Restore it, or pack again."
        ) from error
