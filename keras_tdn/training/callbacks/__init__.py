"""Callbacks for `fit`: logs, checkpoints, an early end, and states to continue from."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from keras_tdn.training.callbacks.checkpoints_and_stopping import (
    BEST_FILE,
    LAST_FILE,
    AverageReplicas,
    Checkpoints,
    EvaluateAverages,
    StopEarly,
    StopOnDivergence,
    TrainingDivergedError,
    load_checkpoint,
)
from keras_tdn.training.callbacks.reporting import (
    TENSORBOARD_FOLDER,
    EpochLog,
    InputTiming,
    Progress,
    check_tensorboard,
)
from keras_tdn.training.callbacks.training_state import TrainingState

__all__ = ["BEST_FILE", "LAST_FILE", "load_checkpoint", "training_callbacks"]
__all__ += ["AverageReplicas", "Checkpoints", "EpochLog", "EvaluateAverages", "InputTiming"]
__all__ += ["Progress", "StopEarly", "StopOnDivergence", "TrainingDivergedError", "TrainingState"]

LOG_FILE = "log.csv"


def training_callbacks(
    output: str | os.PathLike[str],
    *,
    epochs: int,
    averages: bool = False,
    state: TrainingState | None = None,
    early_stopping: int | None = None,
    tensorboard: bool = False,
    progress: bool = True,
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of `recipe.callbacks` for `fit`, in the order that they need.

    Use it with `verbose=0` in `fit`. They end training with an error when the loss becomes NaN,
    evaluate with averaged weights where there are such, and write `log.csv`,
    `last.weights.h5` and, with validation data, `best.weights.h5`, of the highest `val_top1`.

    Args:
        output: Folder that is written to; it is made if needed.
        epochs: Epochs of the whole training.
        averages: Whether the optimizer keeps averages of the weights, to evaluate with.
        state: Saves and restores the training and the other callbacks; yours go in front of it.
        early_stopping: Epochs without a new best `val_top1` after which training ends.
        tensorboard: Whether to write to the subfolder `tensorboard` as well.
        progress: Whether to show progress on standard error.

    Raises:
        ValueError: if `early_stopping` is not a positive integer, or `output` cannot be written.
        ImportError: if TensorBoard is asked for and not installed.

    Example:

    >>> callbacks = recipe.callbacks("run", early_stopping=5)
    >>> model.fit(train, validation_data=validation, verbose=0, callbacks=callbacks)
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"The output folder {str(folder)!r} cannot be made: {error.strerror}."
        raise ValueError(text) from error
    callbacks: list[keras.callbacks.Callback] = [AverageReplicas(), StopOnDivergence()]
    if state is not None:
        callbacks.append(InputTiming(state.positions))
    if averages:
        callbacks.append(EvaluateAverages())
    callbacks += [EpochLog(folder / LOG_FILE), Checkpoints(folder)]
    if early_stopping is not None:
        callbacks.append(StopEarly(early_stopping))
    if tensorboard:
        check_tensorboard()
        callbacks.append(keras.callbacks.TensorBoard(folder / TENSORBOARD_FOLDER))
    if progress:
        callbacks.append(Progress(epochs, state and state.steps_per_epoch))
    if state is not None:
        state.members = tuple(callback for callback in callbacks if hasattr(callback, "restore"))
        callbacks.append(state)
    return callbacks
