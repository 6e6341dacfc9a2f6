"""Callbacks that report: a table of epochs, the progress, waits for input, TensorBoard."""

from __future__ import annotations

import csv
import importlib.util
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_tdn.data.dataset.order import BatchPositions
from keras_tdn.progress import Progress as RunProgress, duration
from keras_tdn.training.callbacks.checkpoints_and_stopping import RememberingCallback
from keras_tdn.training.state_files import written_durably


class EpochLog(RememberingCallback):
    """Keeps the figures of every epoch, and writes them to a CSV file after each.

    Unlike with `keras.callbacks.CSVLogger`, the file of a resumed training has no epoch twice.

    Args:
        path: The CSV file, or `None` for none.

    Attributes:
        rows: A dict for each epoch so far: its number from 1, the learning rate at its end, and
            what `fit` measured. These are the columns of the file.

    Example:

    >>> log = EpochLog("log.csv")
    >>> model.fit(dataset, epochs=2, callbacks=[log])
    >>> [row["epoch"] for row in log.rows]
    [1, 2]
    """

    REMEMBERED = ("rows",)

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {name: float(value) for name, value in (logs or {}).items()}
        # A run that was stopped at a later place may come through here again.
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self.rows.append({"epoch": epoch + 1, "learning_rate": rate, **figures})
        if self.path is None:
            return
        columns = dict.fromkeys(name for row in self.rows for name in row)
        with written_durably(self.path) as new, new.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


class InputTiming(RememberingCallback):
    """Measures how long the model had nothing to do because no batch was ready.

    Where that is much, use more cores, packed records or smaller videos; otherwise a faster device
    or mixed precision. Validation does not count.

    Args:
        positions: What was passed to `make_dataset`.

    Attributes:
        seconds: Duration of the steps so far, but the first of each call of `fit`, which compiles.
        waited: The part of it that was spent waiting.

    Example:

    >>> positions = BatchPositions()
    >>> train = make_dataset(records, spec, training=True, batch_size=8, positions=positions)
    >>> timing = InputTiming(positions)
    >>> model.fit(train, epochs=5, steps_per_epoch=100, callbacks=[timing])
    >>> print(f"{timing.waited / timing.seconds:.0%} of the time there was nothing to do")
    """

    # Called while the next step is under way, when the loss of the last has been computed.
    async_safe = True
    REMEMBERED = ("seconds", "waited")

    def __init__(self, positions: BatchPositions) -> None:
        super().__init__()
        self._positions = positions
        self.seconds = self.waited = self._before = 0.0
        self._batches_before = self._batches = 0

    @property
    def share_waited(self) -> float:
        """Part of the duration that was spent waiting, from 0 to 1."""
        return self.waited / self.seconds if self.seconds else 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._batches_before = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._batches_before += self._batches
        self._before = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        now = time.perf_counter()
        self._batches = batch + 1
        made = self._positions.made_at(self._batches_before + batch)
        # The first step of a call of `fit` compiles, and fills the pipeline only then.
        if made is not None and self._batches_before + batch:
            self.seconds += now - self._before
            self.waited += min(max(made - self._before, 0.0), now - self._before)
        self._before = now


class Progress(keras.callbacks.Callback):
    """Shows a bar for the whole training with the time that is left, and a line for each epoch.

    Use it with `verbose=0` in `fit`, whose own bar knows of one epoch only. Where standard error is
    not a terminal, there is a line each minute instead of the bar.

    Args:
        epochs: Epochs of the whole training; `None` takes those of `fit`.
        steps_per_epoch: Batches in an epoch; `None` takes those of `fit`, which are fewer where
            a training continues in the middle of an epoch.

    Example:

    >>> model.fit(train, epochs=10, steps_per_epoch=100, verbose=0, callbacks=[Progress()])
    """

    async_safe = True

    def __init__(self, epochs: int | None = None, steps_per_epoch: int | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        # From the first epoch to the end.
        self._display: Any = None
        self._epochs = self._steps = self._epoch = self._offset = 0
        self._started, self._first = 0.0, 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        steps = self.params.get("steps") or 1
        self._steps = self.steps_per_epoch or steps
        self._epochs = self.epochs or self.params["epochs"]
        # In the middle of an epoch, `fit` counts from there.
        self._offset = self._steps - steps

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        if self._display is None:
            self._started, self._first = time.perf_counter(), epoch * self._steps + self._offset
            total = self._epochs * self._steps
            display = RunProgress("keras-tdn train", total, unit="step", done=self._first)
            self._display = display.__enter__()
        self._describe("")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # In a thread of Keras', which may come when all is over.
        if self._display is not None:
            done = self._epoch * self._steps + self._offset + batch + 1
            self._display.update(done, None, _figures(logs or {}))

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._describe(", validating")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._offset = 0
        done = (epoch + 1) * self._steps
        pace = (time.perf_counter() - self._started) / (done - self._first)
        left = pace * (self._epochs * self._steps - done)
        rest = f"  {duration(left)} left" if left else ""
        self._display.write(f"epoch {epoch + 1}/{self._epochs}  {_figures(logs or {})}{rest}")
        if epoch + 1 == self._epochs:
            self.close()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.model.stop_training:
            self.close()

    def close(self) -> None:
        """Leaves the terminal to others."""
        if self._display is not None:
            self._display.close()
            self._display = None

    def _describe(self, what: str) -> None:
        if self._display is not None:
            self._display.describe(f"epoch {self._epoch + 1}/{self._epochs}{what}")


def _figures(logs: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())


TENSORBOARD_FOLDER = "tensorboard"


def check_tensorboard() -> None:
    """Raises an `ImportError` without TensorBoard: TensorFlow would at the first figure."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "Logs for TensorBoard need the package tensorboard, which TensorFlow does not bring "
            'along any more. Install it: pip install "keras-tdn[tensorboard]"'
        )
