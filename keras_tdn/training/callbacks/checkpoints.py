"""Callbacks that keep weights: of the last and best epoch, averages, and those of replicas."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tdn.pretrained.transfer import fill, source_of_weights_file
from keras_tdn.pretrained.weights_writer import write_weights_file
from keras_tdn.training.state_files import written_durably
from keras_tdn.training.variables import average_replicas, averaged_weights, put_back, take_averages

LAST_FILE = "last.weights.h5"
BEST_FILE = "best.weights.h5"
MONITOR = "val_top1"


class Checkpoints(keras.callbacks.Callback):
    """Writes `last.weights.h5` after each epoch, and `best.weights.h5` after the best so far.

    Use it to have something to work with at any time. With weights that are averaged, the files
    hold the averages. Each file is whole at any moment, and equal models give equal files: what
    the optimizer remembers is not in there. The model's arguments, labels and `clip_spec` are. The
    first of equally good epochs is the best.

    Args:
        folder: Where the files are written.
        monitor: The figure of which the highest is best; where it is not measured, as without
            validation, there is no best.

    Attributes:
        best: The highest figure so far, or `None`.
        best_epoch: The epoch it is of, counted from 1, or `None`.

    Example:

    >>> model.fit(train, validation_data=validation, callbacks=[Checkpoints("run")])
    >>> load_checkpoint(model, "run/best.weights.h5")
    """

    def __init__(self, folder: str | os.PathLike[str], monitor: str = MONITOR) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.best: float | None = None
        self.best_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figure = (logs or {}).get(self.monitor)
        better = (
            figure is not None
            and not math.isnan(figure)
            and (self.best is None or figure > self.best)
        )
        with averaged_weights(self.model):
            self._write(LAST_FILE)
            if better:
                self._write(BEST_FILE)
        if better and figure is not None:
            self.best, self.best_epoch = float(figure), epoch + 1

    def state(self) -> dict[str, Any]:
        """Returns what `restore` takes, as JSON values."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    def _write(self, name: str) -> None:
        with written_durably(self.folder / name) as new:
            write_weights_file(self.model, new, described=True)


def load_checkpoint(model: keras.Model, file: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a checkpoint.

    Use it after training. `model.load_weights` does so too, but on a compiled model it warns that
    the file has no state of the optimizer, which nothing needs that is not trained further. Labels
    and `clip_spec` are taken as well, unless the model has its own. Where several processes train
    one model, each of them has to call it.

    Args:
        model: The `TDNResNet`, or another of the same arguments.
        file: `best.weights.h5` or `last.weights.h5`.

    Raises:
        ValueError: if the file is damaged, is none, or belongs to another model, which then is
            unchanged.

    Example:

    >>> load_checkpoint(model, "run/best.weights.h5")
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(
            f"There is no checkpoint {str(path)!r}. {BEST_FILE} is written where there are "
            f"validation videos, and {LAST_FILE} after each epoch."
        )
    fill(model, source_of_weights_file(path), path, free_head=False)


class EvaluateAverages(keras.callbacks.Callback):
    """Evaluates, during `fit`, with the averages of the weights that the optimizer keeps.

    Use it with `use_ema=True`; otherwise it does nothing. It does what
    `keras.callbacks.SwapEMAWeights` does, but gives back the very weights that training had:
    Keras' own rounds on TensorFlow.

    Example:

    >>> model.compile(keras.optimizers.SGD(0.01, use_ema=True), loss, metrics=metrics)
    >>> model.fit(train, validation_data=validation, callbacks=[EvaluateAverages()])
    """

    def __init__(self) -> None:
        super().__init__()
        self._saved: Sequence[np.ndarray] | None = None

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._saved = take_averages(self.model)

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        put_back(self.model, self._saved)
        self._saved = None


class AverageReplicas(keras.callbacks.Callback):
    """Averages batch norms' statistics over TensorFlow's replicas before they are used or saved.

    Use it with `tf.distribute.MirroredStrategy` where batch norms are not synchronised, in front of
    callbacks that save: otherwise validation mixes the replicas' statistics, and what is saved has
    the first replica's. On one device, and on other backends, it does nothing.

    Example:

    >>> model.fit(train, validation_data=validation, callbacks=[AverageReplicas(), checkpoints])
    """

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)
