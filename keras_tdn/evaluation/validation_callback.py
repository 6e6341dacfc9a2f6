"""Multi-view validation during `fit`."""

from __future__ import annotations

from typing import Any, Unpack

import keras

from keras_tdn.data.records import RecordList
from keras_tdn.evaluation.evaluation import Evaluation
from keras_tdn.evaluation.report import EvaluationReport, report_on
from keras_tdn.scoring.scorer import Average
from keras_tdn.scoring.scoring_options import ScoringKeywords, ScoringOptions
from keras_tdn.specs import ViewSpec


class MultiViewValidation(keras.callbacks.Callback):
    """Scores several views of every validation video at the end of epochs, during `fit`.

    Use it where the accuracy that counts is that of several views; one view is what `fit` validates
    by itself. It adds `multiview_top1`, `multiview_top5`, `multiview_mean_class_accuracy`,
    `multiview_loss` and `multiview_ece` to the epoch's logs, where callbacks after it find them:
    pass it before `ModelCheckpoint(monitor="multiview_top1", mode="max")`, and after
    `SwapEMAWeights`.

    Args:
        records: Labelled records.
        views: Which views of each video.
        every: Epochs between two validations; the last of every so many is validated.
        average: How views are averaged; see `evaluate`.
        prefix: What the names in the logs start with.
        progress: Whether to show a bar.
        **options: How videos are read and scored, as in `evaluate`. Random clips are the same in
            each epoch.

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
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(
                "MultiViewValidation validates `every` so many epochs, a positive integer. "
                f"Received: every={every!r}"
            )
        self.every = every
        self.prefix = prefix
        self.report: EvaluationReport | None = None
        self._average = average
        self._progress = progress
        self._evaluation: Evaluation | None = None
        self._records = records
        self._options = ScoringOptions(views, **options)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Wrong arguments are reported now, and not after an epoch.
        self._evaluation = Evaluation(self.model, self._records, self._options)
        self._evaluation.check_average(self._average)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every or self._evaluation is None:
            return
        scores = self._evaluation.scores(self._average, progress=self._progress)
        report = report_on(scores, self._average)
        self.report = report
        if logs is not None:
            logs[f"{self.prefix}top1"] = report.top1
            logs[f"{self.prefix}top5"] = report.top5
            logs[f"{self.prefix}mean_class_accuracy"] = report.mean_class_accuracy
            logs[f"{self.prefix}loss"] = report.loss
            logs[f"{self.prefix}ece"] = report.calibration_error
