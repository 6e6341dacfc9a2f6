"""Values of views, as they come, into files of rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_tdn.labelling.label_folder import LabelFolder, LabelPlan, LabelShard
from keras_tdn.labelling.labeller import Labeller
from keras_tdn.scoring.score_log import ScoreLog

GO_ON = "label the same list again, which goes on from there"


class ShardMaker:
    """Takes values of the videos that are left, in order, and writes each shard as it is full.

    What is taken is in the log of its shard, on the disk, before the next is computed. A shard is
    written out of its log, so that its rows follow from what the log says and from nothing else,
    however often the process was killed meanwhile.

    Args:
        folder: Where shards lie; locked for this process.
        plan: Which video goes where.
        shards: The shards to make, in order.
        labeller: Makes rows of values.
        on_shard: Called with each shard's number when it is whole.
        retry_failures: Whether to begin a shard anew in whose log there is a video that could not
            be read.
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
        self._log: ScoreLog | None = None
        # Videos of the shards that have been finished here.
        self._first_position = 0
        # The list's positions of the videos to label, and how far an earlier run has come.
        self.rows = [row for shard in self._shards for row in plan.rows_of(shard)]
        self.first_view = 0
        self.failures: dict[int, str] = {}

    def __enter__(self) -> ShardMaker:
        while self._shards:
            log = self._open()
            if log.num_done < len(log.scores):
                break
            # Killed between the last value and the shard.
            self._finish(log)
        if self._log is not None:
            self.first_view = self._first_position * self._num_views + self._log.num_done
            self.failures = {
                self._first_position + row: reason for row, reason in self._log.failures.items()
            }
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def num_left(self) -> int:
        """Videos of which not all values are there yet."""
        done = 0 if self._log is None else self._log.num_done // self._num_views
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
            log = self._log or self._open()
            taken = values[: len(log.scores) - log.num_done]
            num_videos = len(log.scores) // self._num_views
            own = {
                position - self._first_position: reason
                for position, reason in failures.items()
                if 0 <= position - self._first_position < num_videos
            }
            log.append(taken, own)
            values = values[len(taken) :]
            if log.num_done == len(log.scores):
                self._finish(log)

    def _open(self) -> ScoreLog:
        shard = self._shards[0]
        log = ScoreLog(
            self._folder.log_path(shard),
            self._header | {"shard": shard},
            len(self._plan.rows_of(shard)) * self._num_views,
            self._labeller.scorer.num_values,
            resume=True,
            go_on=GO_ON,
        )
        self._log = self._stack.enter_context(log)
        if self._retry_failures and log.failures:
            self._stack.close()
            self._folder.log_path(shard).unlink()
            return self._open()
        return self._log

    def _finish(self, log: ScoreLog) -> None:
        shard = self._shards.pop(0)
        records = self._plan.records_of(shard)
        values = log.scores.reshape(len(records), self._num_views, -1)
        rows = [
            self._labeller.row(record, None, log.failures[row])
            if row in log.failures
            else self._labeller.row(record, values[row])
            for row, record in enumerate(records)
        ]
        name = self._plan.name_of(shard)
        made = self._folder.write_shard(shard, name, rows, self._plan.options)
        self._stack.close()
        self._log = None
        self._first_position += len(records)
        self._on_shard(shard, made)
