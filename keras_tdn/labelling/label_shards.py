"""Values of views, as they come, into files of rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_tdn.files.journal import remove_journal
from keras_tdn.labelling.label_folder import LabelFolder, LabelPlan, LabelShard
from keras_tdn.labelling.labeller import Labeller
from keras_tdn.scoring.scoring_run import ViewJournal


class ShardMaker:
    """Takes values of the videos that are left, in order, and writes each shard as it is full.

    What is taken is in the journal of its shard before the next is computed. A shard is written out
    of its journal alone, so that its rows are the same however often the process was killed.

    Args:
        folder: Where shards lie; locked for this process.
        plan: Which video goes where.
        shards: The shards to make, in order.
        labeller: Makes rows of values.
        on_shard: Called with each shard's number when it is complete.
        retry_failures: Whether to start a shard anew in whose journal there is a video that could
            not be read.
    """

    def __init__(
        self,
        folder: LabelFolder,
        plan: LabelPlan,
        shards: Sequence[int],
        labeller: Labeller,
        on_shard: Callable[[int, LabelShard], None],
        retry_failures: bool = False,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._shards = list(shards)
        self._labeller = labeller
        self._on_shard = on_shard
        self._retry_failures = retry_failures
        self._header = plan.header()
        self._num_views = plan.options.views.num_views
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
            self.failures = {
                self._first_position + row: reason for row, reason in self._journal.failures.items()
            }
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def num_left(self) -> int:
        """Videos of which not all values are there yet."""
        done = 0 if self._journal is None else self._journal.num_videos_done
        return len(self.rows) - self._first_position - done

    def append(self, values: np.ndarray, failures: Mapping[int, str]) -> None:
        """Takes the values of the next views.

        Args:
            values: float32 of shape `(views, num_values)`, NaN where a video cannot be read.
            failures: Reasons by position in `rows` of the videos that cannot be read among them.

        Raises:
            OSError: if they cannot be written, for example because the disk is full.
        """
        while len(values):
            journal = self._journal or self._open()
            taken = values[: len(journal.values) - journal.num_done]
            num_videos = len(self._plan.rows_of(self._shards[0]))
            own = {
                position - self._first_position: reason
                for position, reason in failures.items()
                if 0 <= position - self._first_position < num_videos
            }
            journal.append(taken, own)
            values = values[len(taken) :]
            if journal.is_complete:
                self._finish(journal)

    def _open(self) -> ViewJournal:
        shard = self._shards[0]
        path = self._folder.journal_path(shard)
        journal = ViewJournal(
            path,
            self._header | {"shard": shard},
            len(self._plan.rows_of(shard)),
            self._num_views,
            self._labeller.scorer.num_values,
            resume=True,
            # The folder is held already.
            lock=False,
        )
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
        rows = [
            self._labeller.row(record, None, journal.failures[row])
            if row in journal.failures
            else self._labeller.row(record, values[row])
            for row, record in enumerate(records)
        ]
        self._stack.close()
        self._journal = None
        name = self._plan.name_of(shard)
        made = self._folder.write_shard(shard, name, rows, self._plan.options)
        self._first_position += len(records)
        self._on_shard(shard, made)
