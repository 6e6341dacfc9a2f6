"""What a packing holds: shards, records and failures."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from keras_tdn.data.packing.packing_plan import PackOptions
from keras_tdn.files.atomic import sha256_of

INDEX_FILE = "index.json"
MAX_PROBLEMS_SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class PackedRecord:
    """One video, packed.

    Args:
        index: The record's index in the list.
        path: Where the video lay.
        label: Class index, or `None`.
        num_frames: Frames stored: all that decode.
        height: Height of the stored frames in pixels.
        width: Width of the stored frames in pixels.
        offset: Where the record starts in its shard, in bytes.
        num_bytes: What it takes there.
        shard: Number of the shard.
    """

    index: int
    path: str
    label: int | None
    num_frames: int
    height: int
    width: int
    offset: int
    num_bytes: int
    shard: int


@dataclasses.dataclass(frozen=True, slots=True)
class FailedRecord:
    """One video that could not be packed, and why."""

    index: int
    path: str
    reason: str


@dataclasses.dataclass(frozen=True)
class PackedShard:
    """One finished file.

    Args:
        name: Its file name.
        num_bytes: Its size.
        sha256: Of its content, hexadecimal.
        records: What it holds, in order.
        failures: What it was to hold as well.
    """

    name: str
    num_bytes: int
    sha256: str
    records: tuple[PackedRecord, ...]
    failures: tuple[FailedRecord, ...]

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PackedShard:
        """Rebuilds what `to_config` wrote."""
        return cls(
            config["name"],
            config["num_bytes"],
            config["sha256"],
            tuple(PackedRecord(**record) for record in config["records"]),
            tuple(FailedRecord(**failure) for failure in config["failures"]),
        )


@dataclasses.dataclass(frozen=True)
class PackedIndex:
    """A packing: where it lies and what it holds. `load_packed_index` reads one.

    Args:
        folder: The folder of the shards.
        options: What it was packed with.
        labels: Class names in the order of the records' labels, or `None`.
        num_classes: Classes there are.
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
        found = [record for shard in self.shards for record in shard.records]
        return tuple(sorted(found, key=lambda record: record.index))

    @property
    def failures(self) -> tuple[FailedRecord, ...]:
        """What is not, in the order of the list."""
        found = [failure for shard in self.shards for failure in shard.failures]
        return tuple(sorted(found, key=lambda failure: failure.index))

    @property
    def num_records(self) -> int:
        """Records that are packed."""
        return sum(len(shard.records) for shard in self.shards)

    @property
    def paths(self) -> list[str]:
        """Paths of the shards, in order."""
        return [os.path.join(self.folder, shard.name) for shard in self.shards]

    def check(self, hashes: bool = False) -> None:
        """Compares the files with the index.

        Use it before training, so that a copy that was cut short is noticed then.

        Args:
            hashes: Whether to read all files and compare their SHA-256 too; else only their sizes.

        Raises:
            ValueError: if files are missing or differ; the message names the first of them.
        """
        problems = []
        for path, shard in zip(self.paths, self.shards, strict=True):
            problem = shard_problem(path, shard, hashes)
            if problem:
                problems.append(f"  {shard.name}: {problem}")
        if problems:
            shown = problems[:MAX_PROBLEMS_SHOWN]
            if len(problems) > len(shown):
                shown.append(f"  and {len(problems) - len(shown)} more")
            raise ValueError(
                f"{len(problems)} of {len(self.shards)} shards in {self.folder!r} are not as "
                "packed:\n" + "\n".join(shown) + "\nCopy them again, or pack again with the same "
                "list and options, which replaces these alone."
            )


def load_packed_index(source: str | os.PathLike[str]) -> PackedIndex:
    """Reads the index of a packing.

    Args:
        source: The folder that `pack` wrote, or the path of its `index.json`. Both may be moved
            together.

    Returns:
        A `PackedIndex`.

    Raises:
        ValueError: if there is none, or it is damaged.

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
            "same command is run again to its end."
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


def shard_problem(path: str, shard: PackedShard, hashes: bool) -> str:
    """Returns what is wrong with a shard's file; empty if nothing is."""
    try:
        size = os.path.getsize(path)
        if size != shard.num_bytes:
            return f"it has {size} bytes instead of {shard.num_bytes}"
        if hashes and sha256_of(path) != shard.sha256:
            return "its content has another SHA-256"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""
