"""A bar with the accuracy so far."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from keras_tdn.scoring.score_log import ScoreLog
from keras_tdn.scoring.scorer import Average, ScoreKind, average_views


class EvaluationProgress:
    """A bar on standard error, where that is a terminal.

    Args:
        log: The scores so far.
        labels: True classes of all records.
        num_views: Views of each.
        kind: What the scores are.
        average: How views are averaged.
        shown: Whether to show a bar at all.
    """

    def __init__(
        self,
        log: ScoreLog,
        labels: Sequence[int],
        num_views: int,
        kind: ScoreKind,
        average: Average,
        shown: bool,
    ) -> None:
        self._log = log
        self._labels = labels
        self._num_views = num_views
        self._kind: ScoreKind = kind
        self._average: Average = average
        self._shown = shown
        self._num_finished = 0
        self._num_good = 0
        self._num_right = 0
        self._bar: Any = None

    def __enter__(self) -> EvaluationProgress:
        from tqdm import tqdm

        # Videos of an earlier run are no measure of the speed of this one.
        self._bar = tqdm(
            total=len(self._labels),
            initial=self._log.num_done // self._num_views,
            unit="video",
            # `None` is tqdm's way to say: only on a terminal.
            disable=None if self._shown else True,
        )
        self._count()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def update(self) -> None:
        """Takes the videos into account whose last view has been scored."""
        before = self._num_finished
        self._count()
        self._bar.update(self._num_finished - before)

    def _count(self) -> None:
        finished = self._log.num_done // self._num_views
        if self._bar.disable:
            return
        for row in range(self._num_finished, finished):
            if row in self._log.failures:
                continue
            start = row * self._num_views
            scores = self._log.scores[start : start + self._num_views]
            (averaged,) = average_views(scores[None], self._kind, self._average)
            self._num_good += 1
            self._num_right += int(averaged[0].argmax() == self._labels[row])
        self._num_finished = finished
        accuracy = f"{self._num_right / self._num_good:.1%}" if self._num_good else "-"
        self._bar.set_postfix(top1=accuracy, bad=len(self._log.failures), refresh=False)
