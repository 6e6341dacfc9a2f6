"""A model on a list of videos, in one call."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tdn.data.decoding import Decoder
from keras_tdn.data.failures import Failure, FailureLog
from keras_tdn.data.records import RecordList
from keras_tdn.evaluation.averaging import Average, average_views
from keras_tdn.evaluation.batching import view_batches
from keras_tdn.evaluation.checks import check_records, describe_views
from keras_tdn.evaluation.frame_reading import FrameReader
from keras_tdn.evaluation.model_hash import model_sha256
from keras_tdn.evaluation.outputs import OutputFolder
from keras_tdn.evaluation.progress import EvaluationProgress
from keras_tdn.evaluation.report import EvaluationReport, report_on
from keras_tdn.evaluation.score_log import ScoreLog
from keras_tdn.evaluation.scores import Scores
from keras_tdn.evaluation.scoring import Scorer
from keras_tdn.evaluation.versions import versions
from keras_tdn.evaluation.view_reading import ViewReader
from keras_tdn.models.clips import clip_spec_of
from keras_tdn.specs import ClipSpec, ViewSpec

DEFAULT_BATCH_SIZE = 8
# Each holds the frames of a video; more than this rarely helps, and can be asked for.
MAX_DEFAULT_WORKERS = 8


def evaluate(
    model: keras.Model,
    records: RecordList,
    views: ViewSpec = ViewSpec(),  # noqa: B008
    *,
    clip_spec: ClipSpec | None = None,
    average: Average = "softmax",
    from_logits: bool | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    seed: int = 0,
    num_workers: int | None = None,
    decoder: str | Decoder = "pyav",
    max_failure_share: float | None = 0.1,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
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
        clip_spec: How clips are cut. `None` takes the model's own.
        average: `"softmax"`: the mean of the views' probabilities, as the authors take it;
            `"logits"`: the softmax of the mean of their logits.
        from_logits: Whether the model's scores are logits; by default its last layer tells.
        batch_size: Views scored at once. Memory and speed follow from it, and no more than the last
            digits of the scores.
        seed: What random clips are drawn from, together with a record's `index`.
        num_workers: Videos read side by side; by default one per processor, at most 8. With thirty
            views each takes up to 0.4 GB, of videos of 340 x 256 pixels.
        decoder: Name of the decoder of video files, or the decoder itself.
        max_failure_share: Share of bad videos that is an error, from 0 to 1, of 100 videos at
            least. `None`: none is, unless nothing can be read.
        output: Folder for results; it is made if need be.
        resume: Whether to go on with what is in the folder, if there is anything.
        overwrite: Whether to begin anew if there are results or a log in the folder.
        progress: Whether to show a bar with the accuracy so far, where there is a terminal.

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
    evaluation = Evaluation(
        model,
        records,
        views,
        clip_spec=clip_spec,
        from_logits=from_logits,
        batch_size=batch_size,
        seed=seed,
        num_workers=num_workers,
        decoder=decoder,
        max_failure_share=max_failure_share,
    )
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
    folder.write(scores, report, evaluation.frames, evaluation.rows)
    return report


class Evaluation:
    """A model and the views of records, ready to be scored: `evaluate` without the report.

    Use it where the same views are scored again and again, as `MultiViewValidation` does.

    Args:
        model: As in `evaluate`, and so are the others.
    """

    def __init__(
        self,
        model: keras.Model,
        records: RecordList,
        views: ViewSpec = ViewSpec(),  # noqa: B008
        *,
        clip_spec: ClipSpec | None = None,
        from_logits: bool | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        seed: int = 0,
        num_workers: int | None = None,
        decoder: str | Decoder = "pyav",
        max_failure_share: float | None = 0.1,
    ) -> None:
        if not isinstance(views, ViewSpec):
            raise ValueError(
                "The views are a ViewSpec, for example ViewSpec(num_clips=10, num_crops=3). "
                f"Received: views={views!r}"
            )
        if num_workers is None:
            num_workers = min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)
        for name, number in (("batch_size", batch_size), ("num_workers", num_workers)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(
                    f"Evaluation needs a positive integer for `{name}`. Received: {name}={number!r}"
                )
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"Evaluation's `seed` is an integer. Received: seed={seed!r}")
        spec = clip_spec_of(model, clip_spec)
        self.records = records
        self.views = views
        self.spec = spec
        self.seed = seed
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.scorer = Scorer(model, spec, views.crop_size_of(spec), from_logits)
        self.class_names = check_records(records, self.scorer.classes, model)
        self.frames = FrameReader(records, decoder)
        self._decoder_name = decoder if isinstance(decoder, str) else type(decoder).__name__
        self._reader = ViewReader(self.frames, records, views, spec, seed)
        self._max_failure_share = max_failure_share
        self._failure_log(())

    def check_average(self, average: Average) -> None:
        """Raises a `ValueError` unless views can be averaged so."""
        average_views(np.zeros((0, 1, 1)), self.scorer.kind, average)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the scores follow from. Others are not gone on with."""
        listed = [[record.path, record.label, record.index] for record in self.records]
        identity = {
            "weights": model_sha256(self.scorer.model),
            "records": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
            "class_names": self.class_names,
            "views": self.views.to_config(),
            "clip": self.spec.to_config(),
            "seed": self.seed,
            "decoder": self._decoder_name,
            "scores": self.scorer.kind,
            "backend": keras.backend.backend(),
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
        num_views, classes = self.views.num_views, self.scorer.classes
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
            shape = (self.spec.num_frames, *self.views.crop_size_of(self.spec), 3)
            batches = view_batches(
                self._reader.read,
                len(self.records),
                num_views,
                shape,
                self.batch_size,
                first_view=scored.num_done,
                failures=scored.failures,
                num_workers=self.num_workers,
            )
            for batch in stack.enter_context(contextlib.closing(batches)):
                for row, reason in batch.failures.items():
                    record = self.records[row]
                    failures.add(Failure(record.path, record.index, reason), row + 1)
                result = np.full((len(batch.present), classes), np.nan, np.float32)
                if batch.present.any():
                    views = self.scorer.score(batch.clips)[: len(batch.present)]
                    result[batch.present] = views[batch.present]
                scored.append(result, batch.failures)
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
        height, width = self.views.crop_size_of(self.spec)
        facts = {
            "identity": identity,
            "model": model.name,
            "parameters": model.count_params(),
            "views_text": describe_views(self.views, self.spec),
            "crop_size": [height, width],
            "versions": versions(),
        }
        return Scores(
            view_scores=view_scores if len(good) == len(view_scores) else view_scores[good],
            kind=self.scorer.kind,
            labels=np.array([record.label for record in records], np.int64),
            paths=tuple(record.path for record in records),
            indices=np.array([record.index for record in records], np.int64),
            failures=tuple(
                Failure(self.records[row].path, self.records[row].index, failures[row])
                for row in sorted(failures)
            ),
            class_names=self.class_names,
            views=self.views,
            facts=facts,
        )

    def _failure_log(self, known: Any) -> FailureLog:
        share = 1.0 if self._max_failure_share is None else self._max_failure_share
        log = FailureLog(len(self.records), share)
        for row, reason in known:
            record = self.records[row]
            log.add(Failure(record.path, record.index, reason), row + 1)
        return log
