"""An end to training that does not get better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_tdn.training.callbacks.checkpoints import MONITOR


class StopEarly(keras.callbacks.Callback):
    """Ends training when a figure has not risen for some epochs.

    Use it instead of `keras.callbacks.EarlyStopping` where training is resumed: it goes on counting
    where it was.

    Args:
        patience: Epochs without a new best that are the last straw.
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
        """What `restore` takes to go on from here, as JSON holds it."""
        return {"best": self._best, "waited": self._waited, "stopped": self.stopped}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._best, self._waited = state["best"], state["waited"]
        self.stopped = state["stopped"]
