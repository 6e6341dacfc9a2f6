"""How far the training is, on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import keras

# Figures are put beside the bar no more often than this.
SECONDS_BETWEEN_FIGURES = 0.5


class Progress(keras.callbacks.Callback):
    """Shows a bar for the whole training with the time that is left, and a line for each epoch.

    Use it with `verbose=0` in `fit`, whose own bar knows of one epoch only. Where standard error is
    not a terminal, there is the line for each epoch alone.

    Args:
        epochs: Epochs of the whole training; `None` takes what `fit` is told.
        steps_per_epoch: Batches in an epoch; `None` takes what `fit` is told, which are fewer where
            a training goes on in the middle of an epoch.

    Example:

    >>> model.fit(train, epochs=10, steps_per_epoch=100, verbose=0, callbacks=[Progress()])
    """

    async_safe = True

    def __init__(self, epochs: int | None = None, steps_per_epoch: int | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self._bar: Any = None
        self._epochs = self._steps = 0
        self._epoch = 0
        self._offset = 0
        self._begun: tuple[float, int] | None = None
        self._shown = 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        steps = self.params.get("steps") or 1
        self._steps = self.steps_per_epoch or steps
        self._epochs = self.epochs or self.params["epochs"]
        # In the middle of an epoch, `fit` counts from there.
        self._offset = self._steps - steps

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        done = epoch * self._steps + self._offset
        if self._begun is None:
            self._begun = time.perf_counter(), done
            self._open(done)
        self._describe("")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if not self._is_shown:
            return
        now = time.perf_counter()
        if logs and now - self._shown > SECONDS_BETWEEN_FIGURES:
            self._shown = now
            self._bar.set_postfix_str(_figures(logs), refresh=False)
        done = self._epoch * self._steps + self._offset + batch + 1
        self._bar.update(done - self._bar.n)

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._describe(", validating")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._offset = 0
        left = self._seconds_left(epoch)
        line = f"epoch {epoch + 1}/{self._epochs}  {_figures(logs or {})}"
        line += f"  {_duration(left)} left" if left else ""
        if self._is_shown:
            self._bar.write(line, file=sys.stderr)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        if epoch + 1 == self._epochs:
            self.close()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.model.stop_training:
            self.close()

    def close(self) -> None:
        """Leaves the terminal to others."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def _is_shown(self) -> bool:
        return self._bar is not None and not self._bar.disable

    def _open(self, done: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=self._epochs * self._steps,
            # Steps of an earlier process are no sign of how fast this one is.
            initial=done,
            unit="step",
            disable=None,
            dynamic_ncols=True,
            smoothing=0.05,
        )

    def _seconds_left(self, epoch: int) -> float:
        begun, first = self._begun or (0.0, 0)
        done = (epoch + 1) * self._steps
        pace = (time.perf_counter() - begun) / max(1, done - first)
        return pace * (self._epochs * self._steps - done)

    def _describe(self, what: str) -> None:
        if self._is_shown:
            self._bar.set_description_str(f"epoch {self._epoch + 1}/{self._epochs}{what}")


def _figures(logs: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
