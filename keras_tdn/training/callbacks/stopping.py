"""Callbacks that end a training: one that diverges, or one that does not improve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from keras_tdn.training.callbacks.checkpoints import MONITOR
from keras_tdn.training.variables import first_not_finite

ADVICE = (
    "What was trained before is kept. Try a lower learning rate or a longer warm-up; with float16, "
    "try bfloat16 or float32; and look at the data with `keras-tdn browse`."
)


class TrainingDivergedError(ValueError):
    """The loss, or a weight, is NaN or infinite: more training would not help."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends training with an error when the loss becomes NaN or infinite.

    Use it instead of `keras.callbacks.TerminateOnNaN`, which ends as if all were well. Put it in
    front of callbacks that write weights, so that good ones are not replaced. It does not make the
    training wait for the loss, so that it may notice a few steps late.

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
        self._found: tuple[int, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._found = epoch, None

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_found()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        # An error here, in a thread of Keras', would come up late or get lost.
        if not math.isfinite(loss) and self._found is None:
            self._found = batch, float(loss)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_found()
        for name in ("loss", "val_loss"):
            value = float((logs or {}).get(name, 0.0))
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"The {name} is {value} at the end of epoch {epoch + 1}. {ADVICE}"
                )
        # The last step's update is in no loss yet.
        broken = first_not_finite(self.model)
        if broken is not None:
            raise not_finite(epoch, broken)

    def _raise_if_found(self) -> None:
        if self._found is not None:
            batch, loss = self._found
            raise TrainingDivergedError(
                f"The loss is {loss} in epoch {self._epoch + 1}, at step {batch + 1}. {ADVICE}"
            )


def not_finite(epoch: int, variable: str, step: int | None = None) -> TrainingDivergedError:
    """Returns the error for a weight that is NaN although the loss was not."""
    when = "at its end" if step is None else f"after step {step}"
    return TrainingDivergedError(
        f"The weight {variable!r} is NaN or infinite in epoch {epoch + 1}, {when}. {ADVICE}"
    )


class StopEarly(keras.callbacks.Callback):
    """Ends training when a figure has not risen for some epochs.

    Use it instead of `keras.callbacks.EarlyStopping` where training is resumed: it continues
    to count where it was.

    Args:
        patience: Epochs without a new best after which training ends.
        monitor: The figure of which the highest is best.

    Attributes:
        stopped: Whether it has ended the training.

    Raises:
        ValueError: if `patience` is not a positive integer, or, at the end of an epoch, if there
            is no such figure.

    Example:

    >>> model.fit(train, validation_data=validation, epochs=100, callbacks=[StopEarly(patience=5)])
    """

    def __init__(self, patience: int, monitor: str = MONITOR) -> None:
        super().__init__()
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(
                f"Early stopping waits a positive number of epochs. Received: patience={patience!r}"
            )
        self.patience = patience
        self.monitor = monitor
        self.stopped = False
        self._best: float | None = None
        self._waited = 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.monitor not in (logs or {}):
            raise ValueError(
                f"Early stopping watches {self.monitor!r}, which is not measured. Pass validation "
                f"data to `fit`, or watch another figure. Measured: {sorted(logs or {})}"
            )
        figure = float((logs or {})[self.monitor])
        # A comparison with NaN is false: such an epoch is none that is better.
        if self._best is None or figure > self._best:
            self._best, self._waited = figure, 0
        else:
            self._waited += 1
        if self._waited >= self.patience:
            self.stopped = True
            self.model.stop_training = True

    def state(self) -> dict[str, Any]:
        """Returns what `restore` takes, as JSON values."""
        return {"best": self._best, "waited": self._waited, "stopped": self.stopped}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        self._best, self._waited = state["best"], state["waited"]
        self.stopped = state["stopped"]
