"""The folder of a labelling: which video goes into which file, and what is done."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tdn.data.failures import Failure
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.atomic import put_in_place, sha256_of, write_whole
from keras_tdn.files.journal import differences, remove_journal
from keras_tdn.files.resumable_folder import FolderKind, ResumableFolder, read_object
from keras_tdn.labelling.labeller import LabelOptions, Row
from keras_tdn.labelling.row_files import write_rows

FORMAT_VERSION = 1
INDEX_FILE = "labelling.json"
FAILURES_FILE = "failures.jsonl"
WORKPLACE = ".labelling"
KIND = FolderKind(
    INDEX_FILE,
    WORKPLACE,
    "write labels into",
    "labelling",
    "Label with the same list, model and options",
)


@dataclasses.dataclass(frozen=True)
class LabelShard:
    """A file of rows that is complete.

    Args:
        name: Its name.
        num_videos: Rows in it.
        num_bytes: Its size.
        sha256: Of its content.
        failures: The videos among them that cannot be read.
    """

    name: str
    num_videos: int
    num_bytes: int
    sha256: str
    failures: tuple[Failure, ...] = ()

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LabelShard:
        """Rebuilds what `to_config` wrote."""
        failures = tuple(Failure(**failure) for failure in config["failures"])
        return cls(**{**config, "failures": failures})


class LabelPlan:
    """The list of videos, the options and the model, which alone decide every row and its place.

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
        """Returns what distinguishes this labelling from others, for JSON."""
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


class LabelFolder:
    """Knows what of a labelling is done, and refuses to continue another one.

    Args:
        path: The folder; it is made if it is not there.

    Raises:
        ValueError: if it has files of something else, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = ResumableFolder(path, KIND)

    def start(
        self, plan: LabelPlan, overwrite: bool = False, retry_failures: bool = False
    ) -> dict[int, LabelShard]:
        """Prepares the folder for a plan, and returns the shards that are complete.

        Args:
            plan: What is to be labelled.
            overwrite: Whether to remove what is there.
            retry_failures: Whether shards with videos that could not be read are left out.

        Raises:
            ValueError: if it was started with another list, model or options, unless `overwrite`.
        """
        if overwrite:
            self._folder.clear([FAILURES_FILE, "labels-*-of-*"])
        self._folder.prepare(plan.header(), _differences)
        complete = self.complete_shards(plan)
        if retry_failures:
            for shard in [shard for shard, made in complete.items() if made.failures]:
                del complete[shard]
                self._notes(shard).unlink(missing_ok=True)
        return complete

    def complete_shards(self, plan: LabelPlan) -> dict[int, LabelShard]:
        """Returns the shards that are noted as complete and are what their notes say."""
        complete = {}
        for shard, config in self._folder.noted(plan.num_shards, self._notes).items():
            # Notes that cannot be read are of no use, and the shard is made again.
            with contextlib.suppress(KeyError, TypeError, OSError):
                made = LabelShard.from_config(config)
                if sha256_of(self.path / made.name) == made.sha256:
                    complete[shard] = made
        return complete

    def journal_path(self, shard: int) -> Path:
        """Where values of a shard are kept until it is complete."""
        return self._folder.workplace / f"shard-{shard:06d}.sqlite"

    def write_shard(
        self, shard: int, name: str, rows: Sequence[Row], options: LabelOptions
    ) -> LabelShard:
        """Writes a shard and its note, each whole or not at all."""
        final = self.path / name
        # Two workers of a pipeline may be at the same shard, and write the same.
        temporary = self._folder.temporary(final.name)
        try:
            write_rows(temporary, rows, options)
            size, sha256 = temporary.stat().st_size, sha256_of(temporary)
            put_in_place(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        failures = tuple(
            Failure(row["path"], row["index"], row["error"])
            for row in rows
            if row["error"] is not None
        )
        made = LabelShard(final.name, len(rows), size, sha256, failures)
        self._folder.write(self._notes(shard), made.to_config())
        remove_journal(self.journal_path(shard))
        return made

    def finish(self, plan: LabelPlan, shards: Sequence[LabelShard]) -> None:
        """Writes the index and the report of failures, and removes what an unfinished run needs."""
        failures = [failure for shard in shards for failure in shard.failures]
        lines = [json.dumps(dataclasses.asdict(failure)) + "\n" for failure in failures]
        content = "".join(lines).encode()
        write_whole(self.path / FAILURES_FILE, content, self._folder.temporary(FAILURES_FILE))
        self._folder.conclude(plan.header(), [shard.to_config() for shard in shards])

    def _notes(self, shard: int) -> Path:
        return self._folder.workplace / f"shard-{shard:06d}.json"


def _differences(started: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    # An index has the shards as well.
    return list(differences({name: started.get(name) for name in asked}, asked))


def load_index(folder: Path) -> dict[str, Any]:
    """Reads the index of a finished labelling.

    Raises:
        ValueError: if there is none.
    """
    index = read_object(folder / INDEX_FILE)
    if index is None:
        started = (folder / WORKPLACE).is_dir()
        what = "is not finished; label the same list again" if started else "has no labelling"
        raise ValueError(
            f"The folder {str(folder)!r} {what}: there is no {INDEX_FILE!r}. Pass the "
            "folder that label_videos or `keras-tdn label` wrote to."
        )
    return index
