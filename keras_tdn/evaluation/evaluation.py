"""A model on a list of videos, in one call."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np

from keras_tdn.data.failures import Failure, FailureLog
from keras_tdn.data.records import RecordList
from keras_tdn.evaluation.checks import check_records, describe_views
from keras_tdn.evaluation.outputs import OutputFolder
from keras_tdn.evaluation.progress import EvaluationProgress
from keras_tdn.evaluation.report import EvaluationReport, report_on
from keras_tdn.evaluation.scores import Scores
from keras_tdn.evaluation.versions import versions
from keras_tdn.scoring.score_log import ScoreLog
from keras_tdn.scoring.scorer import Average, Scorer, average_views
from keras_tdn.scoring.scoring_options import ScoringKeywords, ScoringOptions
from keras_tdn.scoring.scoring_run import score_views, scoring_identity
from keras_tdn.scoring.views import ViewReader
from keras_tdn.specs import ViewSpec


def evaluate(
    model: keras.Model,
    records: RecordList,
    views: ViewSpec = ViewSpec(),  # noqa: B008
    *,
    average: Average = "softmax",
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Unpack[ScoringKeywords],
) -> EvaluationReport:
    """Scores every view of every video, averages them, and reports.

    Use it for the accuracy of a finished model, on any Keras backend; `MultiViewValidation` is the
    same during `fit`. Every video is decoded once for all of its views. The default is one centre
    clip and one centre crop, which gives what `model.evaluate` gives on `make_dataset(records,
    spec, training=False)`.

    **Reproducible.** The same call gives the same numbers whatever the number of workers. Batches
    are filled up, so that all have one shape: a view's scores then depend on nothing else in the
    batch. Another `batch_size`, or another place in the list, may change the last digits of the
    logits: processors sum in another order for other shapes and rows.

    **Resumable.** With `output`, scores are on the disk as soon as they are computed, in
    `scores.log`. A call with `resume=True` and the same arguments goes on after the last batch that
    was written whole, and ends with the same report as one that was never stopped. It refuses to
    go on if model, records, class names, views, clip, seed, decoder or backend are others. At the
    end the folder has `scores.npz` (scores of every view), `report.json` and `report.html`, and the
    log is gone.

    **Bad videos** are listed in the report and excluded from every number; the report states how
    many videos were scored of how many listed.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        model: A model from clips to scores of classes, such as `TDNResNet50`.
        records: Labelled records, from `load_records` or `load_packed`.
        views: Which views of each video.
        average: `"softmax"`: the mean of the views' probabilities, as the authors take it;
            `"logits"`: the softmax of the mean of their logits.
        output: Folder for results; it is made if need be.
        resume: Whether to go on with what is in the folder, if there is anything.
        overwrite: Whether to begin anew if there are results or a log in the folder.
        progress: Whether to show a bar with the accuracy so far, where there is a terminal.
        **options: How videos are read and scored: `clip_spec`, `from_logits`, `batch_size`, `seed`,
            `num_workers`, `in_processes`, `time_limit`, `decoder` and `max_failure_share` of
            `keras_tdn.scoring.scoring_options.ScoringOptions`.

    Returns:
        An `EvaluationReport`.

    Raises:
        ValueError: if the records do not fit the model, or lack labels; if too many videos are bad
            (a `TooManyFailuresError`); or if the folder has results, or those of something else.
        OSError: if results cannot be written, or videos not be read for a reason that is not
            theirs, such as a disk that fails; `resume=True` goes on.
        MemoryError: if there is no memory left to read videos with; `resume=True` goes on.

    Example:

    >>> records = load_records("validate.txt", labels=model.labels)
    >>> report = evaluate(model, records, ViewSpec(num_clips=10, num_crops=3), output="results")
    >>> report.top1, report.mean_class_accuracy
    (0.74, 0.73)
    """
    evaluation = Evaluation(model, records, ScoringOptions(views, **options))
    evaluation.check_average(average)
    if output is None:
        if resume or overwrite:
            raise ValueError(
                "`resume` and `overwrite` are about the folder of results. Pass `output` as well."
            )
        return report_on(evaluation.scores(average, progress=progress), average)
    folder = OutputFolder(Path(output), resume, overwrite)
    scores = folder.finished_scores(evaluation.identity)
    if scores is None:
        scores = evaluation.scores(average, folder.log, resume=True, progress=progress)
    report = report_on(scores, average)
    folder.write(scores, report, evaluation.reader.frames, evaluation.rows)
    return report


class Evaluation:
    """A model and the views of records, ready to be scored: `evaluate` without the report.

    Use it where the same views are scored again and again, as `MultiViewValidation` does.

    Args:
        model: As in `evaluate`, like the next.
        records: Labelled records.
        options: How videos are read and scored.
    """

    def __init__(
        self,
        model: keras.Model,
        records: RecordList,
        options: ScoringOptions = ScoringOptions(),  # noqa: B008
    ) -> None:
        self.records = records
        self.options = options
        self.scorer = Scorer(model, options)
        self.class_names = check_records(records, self.scorer.classes, model)
        # A decoder or a share that there is not is reported before anything is read.
        self.reader = ViewReader(options, self.scorer.spec, records)
        self._failure_log(())

    def check_average(self, average: Average) -> None:
        """Raises a `ValueError` unless views can be averaged so."""
        average_views(np.zeros((0, 1, 1)), self.scorer.kind, average)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the scores follow from. Others are not gone on with."""
        listed = [[record.path, record.label, record.index] for record in self.records]
        identity = {
            **scoring_identity(self.scorer, self.options.decoder_name),
            "records": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
            "class_names": self.class_names,
            "views": self.options.views.to_config(),
            "seed": self.options.seed,
        }
        # As it will be read back: tuples are lists there.
        return json.loads(json.dumps(identity))

    def scores(
        self,
        average: Average = "softmax",
        log: Path | None = None,
        *,
        resume: bool = False,
        progress: bool = True,
    ) -> Scores:
        """Scores every view that the log does not have yet.

        Args:
            average: What the accuracy in the bar is of.
            log: Path of the log, or `None` for none.
            resume: Whether to go on with a log that is there.
            progress: Whether to show a bar.

        Returns:
            The `Scores` of all videos that can be read.
        """
        num_views, classes = self.options.views.num_views, self.scorer.classes
        identity = self.identity
        with contextlib.ExitStack() as stack:
            scored = stack.enter_context(
                ScoreLog(log, identity, len(self.records) * num_views, classes, resume)
            )
            failures = self._failure_log(scored.failures.items())
            labels = [record.label or 0 for record in self.records]
            bar = stack.enter_context(
                EvaluationProgress(scored, labels, num_views, self.scorer.kind, average, progress)
            )
            batches = score_views(
                self.scorer,
                self.records,
                self.options,
                first_view=scored.num_done,
                failures=scored.failures,
                reader=self.reader,
            )
            for batch in stack.enter_context(contextlib.closing(batches)):
                for row, reason in batch.failures.items():
                    failures.add(self._failure(row, reason), row + 1)
                scored.append(batch.values, batch.failures)
                bar.update()
            view_scores = scored.scores.reshape(len(self.records), num_views, classes)
            return self._collected(view_scores, scored.failures, identity)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of the list by path."""
        return {record.path: row for row, record in enumerate(self.records)}

    def _collected(
        self, view_scores: np.ndarray, failures: Mapping[int, str], identity: Mapping[str, Any]
    ) -> Scores:
        good = [row for row in range(len(self.records)) if row not in failures]
        records = [self.records[row] for row in good]
        model = self.scorer.model
        facts = {
            "identity": identity,
            "model": model.name,
            "parameters": model.count_params(),
            "views_text": describe_views(self.options.views, self.scorer.spec),
            "crop_size": list(self.scorer.clip_shape[1:3]),
            "versions": versions(),
        }
        return Scores(
            view_scores=view_scores if len(good) == len(view_scores) else view_scores[good],
            kind=self.scorer.kind,
            labels=np.array([record.label for record in records], np.int64),
            paths=tuple(record.path for record in records),
            indices=np.array([record.index for record in records], np.int64),
            failures=tuple(self._failure(row, failures[row]) for row in sorted(failures)),
            class_names=self.class_names,
            views=self.options.views,
            facts=facts,
        )

    def _failure(self, row: int, reason: str) -> Failure:
        return Failure(self.records[row].path, self.records[row].index, reason)

    def _failure_log(self, known: Any) -> FailureLog:
        share = self.options.max_failure_share
        log = FailureLog(len(self.records), 1.0 if share is None else share)
        for row, reason in known:
            log.add(self._failure(row, reason), row + 1)
        return log
