"""A whole training in one call."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_tdn.data.failures import TooManyFailuresError
from keras_tdn.data.records import RecordList
from keras_tdn.ending import SIGNALS, finishing
from keras_tdn.gpus import unseen_gpu_line
from keras_tdn.models import TDNResNet
from keras_tdn.pretrained.preset_config import PresetCard
from keras_tdn.training.callbacks import Progress, TrainingState
from keras_tdn.training.callbacks.reporting import check_tensorboard
from keras_tdn.training.distribution import devices_of_an_array
from keras_tdn.training.recipe import Recipe
from keras_tdn.training.run_folder import FAILURES_FILE, STATE_FOLDER, describe_run, run_folder
from keras_tdn.training.training_checks import check_training, class_weights
from keras_tdn.training.training_result import TrainingResult, finish_training, finished_training


def train(
    model: TDNResNet,
    train_records: RecordList,
    validation_records: RecordList | None,
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    seed: int = 0,
    resume: bool = False,
    early_stopping: int | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    tensorboard: bool = False,
    save_every: int | None = None,
    progress: bool = True,
    deterministic: bool = False,
    card: PresetCard | None = None,
    dataset_arguments: Mapping[str, Any] | None = None,
    compile_arguments: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Trains a model by a recipe, and leaves a preset.

    Use it for a training that you can leave alone: all that can be wrong is reported first, it
    continues after any interruption as if there had been none, and its result is written down. The
    same in plain `model.fit`, and what is in `output` then, is in docs/training.md.

    Args:
        model: A `TDNResNet` with a classifier. Its `clip_spec` says how clips are cut;
            `recipe.clip_spec_for(model)` gives it the recipe's crops.
        train_records: Videos with labels.
        validation_records: Videos for the accuracy after each epoch, one view of each, or `None`.
        recipe: How to train.
        output: Folder that is written to.
        seed: Where the order of the videos and all that is drawn from them starts. Weights and
            dropout have the seed of `keras.utils.set_random_seed` when the model is built.
        resume: Whether to continue the training in `output`. If there is none, one starts.
        early_stopping: Epochs without a better accuracy after which training ends.
        class_weight: `"balanced"`, or a mapping of class indices to factors of the loss.
        tensorboard: Whether to write logs for TensorBoard.
        save_every: Steps from state to state; `None` is after each epoch and every five minutes.
        progress: Whether to show progress on standard error.
        deterministic: Whether to use slower operations for the same bits each time, on a GPU too.
        card: Licence, data set and source for the preset; the accuracy is filled in.
        dataset_arguments: More arguments of `make_dataset`, such as `num_parallel_calls`.
        compile_arguments: More arguments of `model.compile`, such as `jit_compile`.

    Returns:
        A `TrainingResult`. The model then has the weights of the preset.

    Raises:
        ValueError: if the arguments do not fit each other, or the training in `output` cannot be
            continued; `TrainingDivergedError` if the loss becomes NaN.
        OSError: if something cannot be written, as on a full disk. What was trained is kept.
        KeyboardInterrupt: after Ctrl-C, when the state is saved.

    Example:

    >>> model = keras_tdn.TDNResNet50(weights="imagenet", classes=records.num_classes)
    >>> model.clip_spec = recipes.finetune_small.clip_spec_for(model)
    >>> result = train(model, records, validation, recipes.finetune_small, "run")
    >>> result.preset
    PosixPath('run/preset')
    """
    dataset_arguments = dict(dataset_arguments or {})
    compile_arguments = dict(compile_arguments or {})
    # In place of the recipe's.
    optimizer = compile_arguments.get("optimizer")
    check_training(model, train_records, validation_records, recipe, early_stopping, optimizer)
    weights = class_weights(train_records, class_weight, model.classes)
    if weights is not None and (recipe.mixup_alpha or recipe.cutmix_alpha):
        raise ValueError(
            "A clip that is mixed of two classes has no class weight of its own. Leave "
            "`class_weight` out, or mixup_alpha and cutmix_alpha of the recipe."
        )
    if tensorboard:
        check_tensorboard()
    steps = recipe.steps_per_epoch(train_records)
    arguments: dict[str, Any] = {"recipe": recipe, "seed": seed, "early_stopping": early_stopping}
    arguments |= {"class_weight": weights, "deterministic": deterministic}
    arguments["compile_arguments"] = compile_arguments
    run = describe_run(model, train_records, validation_records, dataset_arguments, **arguments)
    if model.labels is None and train_records.num_classes == model.classes:
        # Whoever has the model, or a file of its weights, knows the names.
        model.labels = train_records.labels
    if deterministic:
        make_deterministic(seed)
    with run_folder(output, run, resume) as folder:
        result = finished_training(model, folder)
        if result is not None:
            return result
        if progress and (line := unseen_gpu_line(keras.backend.backend())) is not None:
            sys.stderr.write(f"{line}\n")
        lengths: dict[str, Any] = {"epochs": recipe.epochs, "steps_per_epoch": steps}
        state = TrainingState(folder / STATE_FOLDER, save_every=save_every, **lengths)
        recipe.compile(model, steps, **compile_arguments)
        shown = {"tensorboard": tensorboard, "progress": progress}
        callbacks = recipe.callbacks(folder, state=state, early_stopping=early_stopping, **shown)
        common: dict[str, Any] = {
            "seed": seed,
            # A list without videos of the last classes would make narrower one-hot labels.
            "num_classes": model.classes,
            "failure_report": folder / FAILURES_FILE,
            # An array that lies on several devices is cut into equal parts.
            **({"drop_remainder": True} if devices_of_an_array() > 1 else {}),
            **dataset_arguments,
        }
        spec = model.clip_spec
        validation = validation_records and recipe.make_dataset(
            validation_records, spec, training=False, **common
        )
        with saving_when_stopped(state), input_errors_in_words(), contextlib.ExitStack() as stack:
            # Keras tells callbacks of no error.
            for callback in callbacks:
                if isinstance(callback, Progress):
                    stack.callback(callback.close)
            for span in state.spans():
                place = {"start": span.start, "positions": state.positions}
                clips = recipe.make_dataset(train_records, spec, training=True, **place, **common)
                model.fit(
                    clips,
                    validation_data=validation,
                    class_weight=weights,
                    callbacks=callbacks,
                    # The data set has an order of its own, and Keras would say so.
                    shuffle=False,
                    verbose=0,
                    **span.fit_arguments,
                )
        whole_batches = bool(common.get("drop_remainder"))
        return finish_training(
            model, folder, recipe, callbacks, train_records, validation_records, card, whole_batches
        )


def make_deterministic(seed: int) -> None:
    """Makes operations of this process give the same bits each time, also on a GPU, for good."""
    backend = keras.backend.backend()
    if backend == "jax":
        raise ValueError(
            "On JAX, operations on a GPU are made deterministic by the environment variable "
            "XLA_FLAGS=--xla_gpu_deterministic_ops=true, before the process starts. Leave "
            "`deterministic` out."
        )
    keras.utils.set_random_seed(seed % 2**32)
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


logger = logging.getLogger("keras_tdn")


@contextlib.contextmanager
def saving_when_stopped(state: TrainingState) -> Iterator[None]:
    """Within the block, a first signal to end saves the training before the next step.

    A second one ends at once; so does the first in a command's own process, if no batch comes soon.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can take signals.
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop_soon(number: int, frame: Any) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        state.stop_soon()
        logger.warning("Saving in front of the next step, then stopping. Again stops at once.")

    for number in SIGNALS:
        signal.signal(number, stop_soon)
    try:
        with finishing(state.is_at_work):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# How TensorFlow puts it: the class, the text, and a blank line before the traceback.
WRAPPED = re.compile(rf"{TooManyFailuresError.__name__}: (.+?)(?:\n|$)")


@contextlib.contextmanager
def input_errors_in_words() -> Iterator[None]:
    """Within the block, the pipeline's `TooManyFailuresError` comes out as it was raised."""
    try:
        with warnings.catch_warnings():
            # Bad records make a validation set end early.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            yield
    except Exception as error:
        found = WRAPPED.search(str(error))
        if found is None or isinstance(error, ValueError):
            raise
        raise TooManyFailuresError(found[1]) from error
