"""The folder of a labelling: which video goes into which file, what is done, and the rest of it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.data.failures import Failure, failure_line
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.atomic import put_in_place, sha256_of, write_whole
from keras_tdn.files.journal import remove_journal
from keras_tdn.files.resumable_folder import FolderKind, ResumableFolder
from keras_tdn.labelling.labeller import Labeller, LabelOptions, Row, write_rows
from keras_tdn.scoring.scoring_run import ViewJournal

FORMAT_VERSION = 1
INDEX_FILE = "labelling.json"
FAILURES_FILE = "failures.jsonl"
WORKPLACE = ".labelling"
SAME = "Label with the same list, model and options"
KIND = FolderKind(INDEX_FILE, WORKPLACE, "write labels into", "labelling", SAME)


@dataclasses.dataclass(frozen=True)
class LabelShard:
    """A file of rows that is complete."""

    name: str
    num_videos: int
    num_bytes: int
    sha256: str
    failures: tuple[Failure, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class LabelPlan:
    """The list of videos, the options and the model's identity, which alone decide every row.

    Consecutive videos share a shard, so that shards one after the other have the list's order.
    """

    records: RecordList
    options: LabelOptions
    identity: Mapping[str, Any]

    @property
    def num_shards(self) -> int:
        return -(-len(self.records) // self.options.videos_per_shard)

    def rows_of(self, shard: int) -> range:
        size = self.options.videos_per_shard
        return range(shard * size, min((shard + 1) * size, len(self.records)))

    def records_of(self, shard: int) -> list[Record]:
        return [self.records[row] for row in self.rows_of(shard)]

    def name_of(self, shard: int) -> str:
        return self.options.shard_name(shard, self.num_shards)

    def header(self) -> dict[str, Any]:
        """Returns what distinguishes this labelling from others, for JSON."""
        listed = [[record.index, record.path] for record in self.records]
        content = json.dumps(listed, separators=(",", ":")).encode()
        options, list_sha256 = self.options.to_config(), hashlib.sha256(content).hexdigest()
        counted = {"num_videos": len(self.records), "list_sha256": list_sha256}
        return {"version": FORMAT_VERSION, **counted, "options": options, **self.identity}


class LabelFolder(ResumableFolder):
    """Knows what of a labelling is done, and refuses to continue another one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, KIND)

    def start(
        self, plan: LabelPlan, overwrite: bool = False, retry_failures: bool = False
    ) -> dict[int, LabelShard]:
        """Prepares the folder for a plan, and returns the shards that are complete."""
        if overwrite:
            self.clear([FAILURES_FILE, "labels-*-of-*"])
        self.prepare(plan.header())
        complete = self.complete_shards(plan)
        if retry_failures:
            for shard in [shard for shard, made in complete.items() if made.failures]:
                del complete[shard]
                self._notes(shard).unlink(missing_ok=True)
        return complete

    def complete_shards(self, plan: LabelPlan) -> dict[int, LabelShard]:
        """Returns the shards that are noted as complete and are what their notes say."""
        complete = {}
        for shard, config in self.noted(plan.num_shards, self._notes).items():
            # Notes that cannot be read are of no use, and the shard is made again.
            with contextlib.suppress(KeyError, TypeError, OSError):
                failures = tuple(Failure(**failure) for failure in config["failures"])
                made = LabelShard(**{**config, "failures": failures})
                if sha256_of(self.path / made.name) == made.sha256:
                    complete[shard] = made
        return complete

    def journal_path(self, shard: int) -> Path:
        """Where values of a shard are kept until it is complete."""
        return self.workplace / f"shard-{shard:06d}.sqlite"

    def write_shard(
        self, shard: int, name: str, rows: Sequence[Row], options: LabelOptions
    ) -> LabelShard:
        """Writes a shard and its note, each whole or not at all."""
        # Two workers of a pipeline may be at the same shard, and write the same.
        temporary = self.temporary(name)
        try:
            write_rows(temporary, rows, options)
            size, sha256 = temporary.stat().st_size, sha256_of(temporary)
            put_in_place(temporary, self.path / name)
        finally:
            temporary.unlink(missing_ok=True)
        bad = [row for row in rows if row["error"] is not None]
        failures = tuple(Failure(row["path"], row["index"], row["error"]) for row in bad)
        made = LabelShard(name, len(rows), size, sha256, failures)
        self.write(self._notes(shard), dataclasses.asdict(made))
        remove_journal(self.journal_path(shard))
        return made

    def finish(self, plan: LabelPlan, shards: Sequence[LabelShard]) -> None:
        """Writes the index and the report of failures, and removes what an unfinished run needs."""
        content = b"".join(failure_line(bad) for shard in shards for bad in shard.failures)
        write_whole(self.path / FAILURES_FILE, content, self.temporary(FAILURES_FILE))
        self.conclude(plan.header(), [dataclasses.asdict(shard) for shard in shards])

    def _notes(self, shard: int) -> Path:
        return self.workplace / f"shard-{shard:06d}.json"


class ShardMaker:
    """Takes values of the videos that are left, in order, and writes each shard as it is full.

    What is taken is in the journal of its shard before the next is computed. A shard is written out
    of its journal alone, so that rows are the same after any kills. Finished ones join `complete`.
    """

    def __init__(
        self,
        folder: LabelFolder,
        plan: LabelPlan,
        complete: dict[int, LabelShard],
        labeller: Labeller,
        retry_failures: bool = False,
    ) -> None:
        self._folder, self._plan, self._complete = folder, plan, complete
        self._shards = [shard for shard in range(plan.num_shards) if shard not in complete]
        self._labeller, self._retry_failures = labeller, retry_failures
        self._header, self._num_views = plan.header(), plan.options.views.num_views
        self._stack = contextlib.ExitStack()
        self._journal: ViewJournal | None = None
        # Videos of the shards that have been finished here.
        self._first_position = 0
        # The list's positions of the videos to label, and how far an earlier run has come.
        self.rows = [row for shard in self._shards for row in plan.rows_of(shard)]
        self.first_view = 0
        self.failures: dict[int, str] = {}

    def __enter__(self) -> ShardMaker:
        while self._shards:
            journal = self._open()
            if not journal.is_complete:
                break
            # Killed between the last value and the shard.
            self._finish(journal)
        if self._journal is not None:
            self.first_view = self._first_position * self._num_views + self._journal.num_done
            known = self._journal.failures
            self.failures = {self._first_position + row: known[row] for row in known}
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def num_left(self) -> int:
        """Videos of which not all values are there yet."""
        done = 0 if self._journal is None else self._journal.num_videos_done
        return len(self.rows) - self._first_position - done

    def append(self, values: np.ndarray, failures: Mapping[int, str]) -> None:
        """Takes the values of the next views; see `ViewJournal.append`."""
        while len(values):
            journal = self._journal or self._open()
            taken = values[: len(journal.values) - journal.num_done]
            own = {position - self._first_position: why for position, why in failures.items()}
            videos = range(len(self._plan.rows_of(self._shards[0])))
            journal.append(taken, {video: why for video, why in own.items() if video in videos})
            values = values[len(taken) :]
            if journal.is_complete:
                self._finish(journal)

    def _open(self) -> ViewJournal:
        shard = self._shards[0]
        path = self._folder.journal_path(shard)
        identity = self._header | {"shard": shard}
        num_videos, num_values = len(self._plan.rows_of(shard)), self._labeller.scorer.num_values
        # The folder is held already.
        journal = ViewJournal(path, identity, num_videos, self._num_views, num_values, lock=None)
        self._journal = self._stack.enter_context(journal)
        if self._retry_failures and journal.failures:
            self._stack.close()
            remove_journal(path)
            return self._open()
        return self._journal

    def _finish(self, journal: ViewJournal) -> None:
        shard = self._shards.pop(0)
        records = self._plan.records_of(shard)
        values = journal.values.reshape(len(records), self._num_views, -1)
        reasons = [journal.failures.get(row) for row in range(len(records))]
        rows = list(map(self._labeller.row, records, values, reasons))
        self._stack.close()
        self._journal = None
        name = self._plan.name_of(shard)
        self._complete[shard] = self._folder.write_shard(shard, name, rows, self._plan.options)
        self._first_position += len(records)
