"""A model on a list of videos, in one call and during `fit`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np

from keras_tdn.data.failures import Failure, FailureLog
from keras_tdn.data.records import RecordList
from keras_tdn.data.records.labelled import check_class_names, check_labelled
from keras_tdn.data.records.record import check_indices
from keras_tdn.evaluation.report import EvaluationReport, report_on
from keras_tdn.evaluation.results_folder import ResultsFolder
from keras_tdn.evaluation.scores import Scores
from keras_tdn.progress import Progress
from keras_tdn.scoring.scorer import Average, Scorer, average_views
from keras_tdn.scoring.scoring_options import ScoringKeywords, ScoringOptions, check_positive
from keras_tdn.scoring.scoring_run import ViewJournal, score_views, scoring_identity
from keras_tdn.scoring.views import ViewReader, check_not_packed
from keras_tdn.specs import ClipSpec, ViewSpec
from keras_tdn.version import __version__, installed_version

# TensorFlow cuts the clips on every backend, and PyAV decodes videos by default.
DISTRIBUTIONS = ("tensorflow", "av")


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
    same during `fit`. The default is one centre clip and one centre crop, which gives what
    `model.evaluate` gives on `make_dataset(records, spec, training=False)`.

    The same call gives the same numbers whatever the number of workers; another `batch_size`, or
    another place in the list, may change the last digits of the logits. Many views are scored on
    processors by the folded network, if it agrees with the model to 1e-5. Bad videos are listed in
    the report and excluded from every number.

    With `output`, scores are on the disk as soon as they are computed: a call with `resume=True`
    and the same arguments ends with the same report as one that was never stopped. At the end the
    folder has `scores.npz` (scores of every view), `report.json` and `report.html`.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        model: A model from clips to scores of classes, such as `TDNResNet50`.
        records: Labelled records, from `load_records` or `load_packed`.
        views: Which views of each video.
        average: `"softmax"`: the mean of the views' probabilities, as the authors take it;
            `"logits"`: the softmax of the mean of their logits.
        output: Folder for results; it is made if need be.
        resume: Whether to continue with what is in the folder, if there is anything.
        overwrite: Whether to start anew if there are results or a journal in the folder.
        progress: Whether to show how far it is and the accuracy so far.
        **options: How videos are read and scored: the fields of
            `keras_tdn.scoring.scoring_options.ScoringOptions` in its `ScoringKeywords`.

    Returns:
        An `EvaluationReport`.

    Raises:
        ValueError: if the records do not fit the model, or lack labels; if too many videos are bad
            (a `TooManyFailuresError`); or if the folder has results, or those of something else.
        MemoryError, OSError: if the machine fails, such as a full disk; `resume=True` continues.

    Example:

    >>> records = load_records("validate.txt", labels=model.labels)
    >>> report = evaluate(model, records, ViewSpec(num_clips=10, num_crops=3), output="results")
    >>> report.top1, report.mean_class_accuracy
    (0.74, 0.73)
    """
    evaluation = Evaluation(model, records, ScoringOptions(views, **options), average)
    if evaluation.options.in_processes:
        check_not_packed(records)
    evaluation.scorer.fold_for(len(records) * views.num_views)
    if output is None:
        if resume or overwrite:
            raise ValueError("`resume` and `overwrite` are about results. Pass `output` as well.")
        return report_on(evaluation.scores(progress=progress), average)
    folder = ResultsFolder(Path(output), resume, overwrite)
    scores = folder.finished_scores(evaluation.identity)
    if scores is None:
        scores = evaluation.scores(folder.journal, progress=progress)
    report = report_on(scores, average)
    rows = {record.path: row for row, record in enumerate(records)}
    folder.write(scores, report, evaluation.reader.frames, rows)
    return report


class Evaluation:
    """A model and the views of records, ready to be scored again and again.

    `average` is how views will be averaged; until then, the accuracy so far is shown of it.
    """

    def __init__(
        self,
        model: keras.Model,
        records: RecordList,
        options: ScoringOptions = ScoringOptions(),  # noqa: B008
        average: Average = "softmax",
    ) -> None:
        self.records, self.options, self.average = records, options, average
        self.scorer = Scorer(model, options)
        self.class_names = _check_records(records, self.scorer.classes, model)
        # A decoder, a share or an average that there is not is reported before anything is read.
        self.reader = ViewReader(options, self.scorer.spec, records)
        self._failure_log({})
        average_views(np.zeros((0, 1, 1)), self.scorer.kind, average)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the scores follow from. A journal of others is refused."""
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

    def scores(self, journal: Path | None = None, *, progress: bool = True) -> Scores:
        """Scores every view that the journal at this path, if any, does not have yet."""
        num_videos, num_views = len(self.records), self.options.views.num_views
        shape = num_videos, num_views, self.scorer.classes
        identity = self.identity
        with ViewJournal(journal, identity, *shape) as scored:
            failures = self._failure_log(scored.failures)
            views = scored.values.reshape(shape)
            top1 = self._accuracy_so_far(scored, views)
            batches = score_views(
                self.scorer,
                self.records,
                self.options,
                first_view=scored.num_done,
                failures=scored.failures,
                reader=self.reader,
            )
            # Videos of an earlier run are no measure of the speed of this one.
            done = scored.num_videos_done
            shown = Progress("keras-tdn evaluate", num_videos, done=done, shown=progress)
            with contextlib.closing(batches), shown:
                for batch in batches:
                    for row, reason in batch.failures.items():
                        failures.add(self._failure(row, reason), row + 1)
                    scored.append(batch.values, batch.failures)
                    if progress:
                        bad = len(scored.failures)
                        shown.update(scored.num_videos_done, bad=bad, top1=next(top1))
                return self._collected(views, scored.failures, identity)

    def _accuracy_so_far(self, scored: ViewJournal, views: np.ndarray) -> Iterator[str]:
        """Yields, whenever it is asked, the share of the videos scored so far that is right."""
        labels = np.array([record.label for record in self.records])
        num_seen = num_good = num_right = 0
        while True:
            new = range(num_seen, scored.num_videos_done)
            rows = [row for row in new if row not in scored.failures]
            (averaged,) = average_views(views[rows], self.scorer.kind, self.average)
            num_seen, num_good = scored.num_videos_done, num_good + len(rows)
            num_right += int((averaged.argmax(axis=1) == labels[rows]).sum())
            yield f"{num_right / num_good:.1%}" if num_good else "-"

    def _collected(
        self, view_scores: np.ndarray, failures: Mapping[int, str], identity: Mapping[str, Any]
    ) -> Scores:
        good = [row for row in range(len(self.records)) if row not in failures]
        records = [self.records[row] for row in good]
        facts = {
            "identity": identity,
            "model": self.scorer.model.name,
            "parameters": self.scorer.model.count_params(),
            "views_text": _describe_views(self.options.views, self.scorer.spec),
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

    def _failure_log(self, known: Mapping[int, str]) -> FailureLog:
        share = self.options.max_failure_share
        log = FailureLog(len(self.records), 1.0 if share is None else share)
        for row, reason in known.items():
            log.add(self._failure(row, reason), row + 1)
        return log


class MultiViewValidation(keras.callbacks.Callback):
    """Scores several views of every validation video at the end of epochs, during `fit`.

    It adds `multiview_top1`, `multiview_top5`, `multiview_mean_class_accuracy`, `multiview_loss`
    and `multiview_ece` to the epoch's logs, where callbacks after it find them: pass it before
    `ModelCheckpoint(monitor="multiview_top1", mode="max")`, and after `SwapEMAWeights`. One view is
    what `fit` validates by itself.

    Args:
        records: Labelled records.
        views: Which views of each video.
        every: Epochs between two validations; the last of every so many is validated.
        average: How views are averaged; see `evaluate`.
        prefix: What the names in the logs start with.
        progress: Whether to show a bar.
        **options: How videos are read and scored, as in `evaluate`; random clips never change.

    Attributes:
        report: The `EvaluationReport` of the last validation; `None` before the first.

    Raises:
        ValueError: as `evaluate` does, when training starts.

    Example:

    >>> validation = MultiViewValidation(records, ViewSpec(num_clips=3), every=5)
    >>> history = model.fit(train, epochs=50, steps_per_epoch=100, callbacks=[validation])
    >>> history.history["multiview_top1"]
    [0.41, 0.48, 0.52, 0.55, 0.57, 0.58, 0.58, 0.59, 0.59, 0.59]
    """

    def __init__(
        self,
        records: RecordList,
        views: ViewSpec = ViewSpec(num_clips=3),  # noqa: B008
        *,
        every: int = 1,
        average: Average = "softmax",
        prefix: str = "multiview_",
        progress: bool = False,
        **options: Unpack[ScoringKeywords],
    ) -> None:
        super().__init__()
        check_positive("every", every, "MultiViewValidation")
        self.every, self.prefix = every, prefix
        self.report: EvaluationReport | None = None
        self._average, self._progress, self._records = average, progress, records
        self._options = ScoringOptions(views, **options)
        self._evaluation: Evaluation | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Wrong arguments are reported now, and not after an epoch.
        self._evaluation = Evaluation(self.model, self._records, self._options, self._average)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every or self._evaluation is None:
            return
        scores = self._evaluation.scores(progress=self._progress)
        report = self.report = report_on(scores, self._average)
        figures = {
            "top1": report.top1,
            "top5": report.top5,
            "mean_class_accuracy": report.mean_class_accuracy,
            "loss": report.loss,
            "ece": report.calibration_error,
        }
        if logs is not None:
            logs.update({f"{self.prefix}{name}": figure for name, figure in figures.items()})


def versions() -> dict[str, str]:
    """Versions of what scores follow from, for people: a new version may continue a run."""
    names = (keras.backend.backend(), *DISTRIBUTIONS)
    # Some builds have a name of their own, such as tensorflow-cpu.
    found = {name: installed_version(name) or "unknown" for name in names}
    return {"keras_tdn": __version__, "keras": keras.__version__, **found}


def _describe_views(views: ViewSpec, spec: ClipSpec) -> str:
    height, width = views.crop_size_of(spec)
    clips = "1 clip" if views.num_clips == 1 else f"{views.num_clips} clips"
    crops = "1 crop" if views.num_crops == 1 else f"{views.num_crops} crops"
    uniform = "centre" if views.num_clips == 1 else "at equal steps"
    modes = {"uniform": uniform, "random": "at random", "dense": "dense"}
    text = (
        f"{clips} ({modes[views.clip_mode]}) x {crops} of {width}x{height} pixels, "
        f"{spec.num_segments} segments of {spec.frames_per_segment} frames"
    )
    if views.num_crops == 3 and views.always_across:
        text += "; crops side by side, as the authors take them: of portrait videos all three are "
        text += "the centre"
    elif views.num_crops == 3:
        text += "; crops along the long side, so that those of portrait videos differ (the "
        text += "authors' coincide there)"
    return text


def _check_records(records: RecordList, classes: int, model: keras.Model) -> tuple[str, ...] | None:
    """Returns the names of the classes, if a model can be evaluated on these records."""
    check_labelled("Evaluation", records, classes)
    check_indices(records)
    if records.labels is not None and len(records.labels) != classes:
        raise ValueError(
            f"The records have {len(records.labels)} classes and the model {classes}. A list that "
            "names its classes has to name all of the model's, in its order: pass `labels=model."
            "labels` to load_records, or use a model for these classes."
        )
    own = getattr(model, "labels", None)
    check_class_names("the records", records.labels, "the model", own)
    return records.labels or (own and tuple(own))
