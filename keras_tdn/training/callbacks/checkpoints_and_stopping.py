"""Callbacks that keep weights, of the last and best epoch and averages, or end a training."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from keras_tdn.pretrained.weights import fill, origin_of_weights_file
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.specs import checked_integer
from keras_tdn.training.state_files import written_durably
from keras_tdn.training.variables import average_replicas, first_not_finite, put_back, take_averages

LAST_FILE = "last.weights.h5"
BEST_FILE = "best.weights.h5"
MONITOR = "val_top1"

ADVICE = (
    "What was trained before is kept. Try a lower learning rate or a longer warm-up; with float16, "
    "try bfloat16 or float32; and look at the data with `keras-tdn browse`."
)


class RememberingCallback(keras.callbacks.Callback):
    """A callback of which a `TrainingState` saves the attributes in `REMEMBERED`, JSON values."""

    REMEMBERED: ClassVar[tuple[str, ...]] = ()

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.REMEMBERED}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in self.REMEMBERED:
            setattr(self, name, state[name])


class Checkpoints(RememberingCallback):
    """Writes `last.weights.h5` after each epoch, and `best.weights.h5` after the best so far.

    Each file is whole at any moment. It has the weights, averaged where the optimizer does that,
    the model's arguments, labels and `clip_spec`, and not the optimizer's variables.

    Args:
        folder: Where the files are written.
        monitor: The figure of which the first highest is best; without it, none is.

    Attributes:
        best: The highest figure so far, or `None`.
        best_epoch: The epoch it is of, counted from 1, or `None`.

    Example:

    >>> model.fit(train, validation_data=validation, callbacks=[Checkpoints("run")])
    >>> load_checkpoint(model, "run/best.weights.h5")
    """

    REMEMBERED = ("best", "best_epoch")

    def __init__(self, folder: str | os.PathLike[str], monitor: str = MONITOR) -> None:
        super().__init__()
        self.folder, self.monitor = Path(folder), monitor
        self.best: float | None = None
        self.best_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figure = float((logs or {}).get(self.monitor, math.nan))
        # A comparison with NaN is false: such an epoch is none that is better.
        better = figure > (-math.inf if self.best is None else self.best)
        weights = take_averages(self.model)
        try:
            for name in (LAST_FILE, BEST_FILE) if better else (LAST_FILE,):
                with written_durably(self.folder / name) as new:
                    write_weights_file(self.model, new, described=True)
        finally:
            put_back(self.model, weights)
        if better:
            self.best, self.best_epoch = figure, epoch + 1


def load_checkpoint(model: keras.Model, file: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a checkpoint, and its labels and `clip_spec` unless it has some.

    Use it after training; `model.load_weights` would warn of a compiled model's optimizer. Where
    several processes train one model, each of them has to call it.

    Args:
        model: The `TDNResNet`, or another of the same arguments.
        file: `best.weights.h5` or `last.weights.h5`.

    Raises:
        ValueError: if the file is missing, damaged or another model's; nothing is changed then.

    Example:

    >>> load_checkpoint(model, "run/best.weights.h5")
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(
            f"There is no checkpoint {str(path)!r}. {BEST_FILE} is written where there are "
            f"validation videos, and {LAST_FILE} after each epoch."
        )
    fill(model, origin_of_weights_file(path), path, free_head=False)


class EvaluateAverages(keras.callbacks.Callback):
    """Evaluates, during `fit`, with the averages of the weights that the optimizer keeps.

    It gives back the very weights; `keras.callbacks.SwapEMAWeights` rounds on TensorFlow.

    Example:

    >>> model.compile(keras.optimizers.SGD(0.01, use_ema=True), loss, metrics=metrics)
    >>> model.fit(train, validation_data=validation, callbacks=[EvaluateAverages()])
    """

    def __init__(self) -> None:
        super().__init__()
        self._saved: Sequence[np.ndarray] = ()

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._saved = take_averages(self.model)

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        put_back(self.model, self._saved)
        self._saved = ()


class AverageReplicas(keras.callbacks.Callback):
    """Averages batch norms' statistics over TensorFlow's replicas before they are used or saved.

    Use it with `tf.distribute.MirroredStrategy`, in front of callbacks that save: where batch norms
    are not synchronised, these would save the first replica's statistics.

    Example:

    >>> model.fit(train, callbacks=[AverageReplicas(), Checkpoints("run")])
    """

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)


class TrainingDivergedError(ValueError):
    """The loss, or a weight, is NaN or infinite: more training would not help."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends training with an error when the loss, or a weight, becomes NaN or infinite.

    Use it in front of callbacks that write weights, instead of `keras.callbacks.TerminateOnNaN`,
    which ends as if all were well. It does not wait for losses, and may notice a few steps late.

    Raises:
        TrainingDivergedError: from within `fit`.

    Example:

    >>> model.fit(train, epochs=5, callbacks=[StopOnDivergence()])
    """

    # Keras then computes losses while the next step is under way.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0
        self._problem: str | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._problem = epoch, None

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self._problem is not None:
            raise TrainingDivergedError(self._problem)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        # An error here, in a thread of Keras', would come up late or get lost.
        if not math.isfinite(loss) and self._problem is None:
            where = f"in epoch {self._epoch + 1}, at step {batch + 1}"
            self._problem = f"The loss is {float(loss)} {where}. {ADVICE}"

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self._problem is not None:
            raise TrainingDivergedError(self._problem)
        for name in ("loss", "val_loss"):
            value = float((logs or {}).get(name, 0.0))
            if not math.isfinite(value):
                where = f"at the end of epoch {epoch + 1}"
                raise TrainingDivergedError(f"The {name} is {value} {where}. {ADVICE}")
        # The last step's update is in no loss yet.
        broken = first_not_finite(self.model)
        if broken is not None:
            raise not_finite(epoch, broken)


def not_finite(epoch: int, variable: str, step: int | None = None) -> TrainingDivergedError:
    """Returns the error for a weight that is NaN although the loss was not."""
    when = "at its end" if step is None else f"after step {step}"
    return TrainingDivergedError(
        f"The weight {variable!r} is NaN or infinite in epoch {epoch + 1}, {when}. {ADVICE}"
    )


class StopEarly(RememberingCallback):
    """Ends training when a figure has not risen for some epochs.

    Unlike `keras.callbacks.EarlyStopping`, it continues to count where training is resumed.

    Args:
        patience: Epochs without a new best after which training ends.
        monitor: The figure of which the highest is best.

    Attributes:
        best: The highest figure so far, or `None`.
        waited: Epochs since then.
        stopped: Whether it has ended the training.

    Raises:
        ValueError: if `patience` is not a positive integer, or an epoch has no such figure.

    Example:

    >>> model.fit(train, validation_data=validation, epochs=100, callbacks=[StopEarly(patience=5)])
    """

    REMEMBERED = ("best", "waited", "stopped")

    def __init__(self, patience: int, monitor: str = MONITOR) -> None:
        super().__init__()
        wanted = "Early stopping waits a positive number of epochs"
        self.patience = checked_integer("patience", patience, wanted)
        self.monitor = monitor
        self.best: float | None = None
        self.waited, self.stopped = 0, False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        if self.monitor not in logs:
            raise ValueError(
                f"Early stopping watches {self.monitor!r}, which is not measured. Pass validation "
                f"data to `fit`, or watch another figure. Measured: {sorted(logs)}"
            )
        figure = float(logs[self.monitor])
        # A comparison with NaN is false: such an epoch is none that is better.
        if self.best is None or figure > self.best:
            self.best, self.waited = figure, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.stopped = self.model.stop_training = True
