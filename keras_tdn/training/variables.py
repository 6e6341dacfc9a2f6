"""The variables of a model in training, as arrays and back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.pretrained.state_dict import assign_checked, is_real

MODEL, OPTIMIZER, METRICS = "model", "optimizer", "metrics"


def sync(model: keras.Model) -> None:
    """Makes a model's variables hold their present values, which `fit` on JAX keeps elsewhere."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def build_optimizer(model: keras.Model) -> None:
    """Makes the optimizer's variables, which `fit` would do in its first step."""
    if not model.optimizer.built:
        strategy = getattr(model, "_distribute_strategy", None)
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            model.optimizer.build(model.trainable_variables)


def build_metrics(model: keras.Model, label_spec: Any) -> None:
    """Makes the metrics' variables by a batch's `tf.TensorSpec`, before the first step of `fit`."""
    if all(getattr(metric, "built", True) for metric in model.metrics):
        return
    labels = np.zeros((1, *label_spec.shape[1:]), label_spec.dtype.as_numpy_dtype)
    scores = np.zeros((1, *model.output_shape[1:]), "float32")
    model.compute_metrics(x=None, y=keras.ops.array(labels), y_pred=keras.ops.array(scores))
    model.reset_metrics()


def arrays_of(model: keras.Model, *, metrics: bool) -> dict[str, np.ndarray]:
    """Returns the values of the variables of a model, its optimizer and, if asked, its metrics.

    The model's include the seeds of its random layers; the optimizer's are momentum, averages,
    accumulated gradients, its count of steps and the scale of the loss.
    """
    return {
        f"{group}/{index:05d}": keras.ops.convert_to_numpy(variable)
        for group, variables in _groups(model, metrics).items()
        for index, variable in enumerate(variables)
    }


def assign_arrays(model: keras.Model, arrays: Mapping[str, np.ndarray], *, metrics: bool) -> None:
    """Gives variables the values that `arrays_of` took, unless they are another model's.

    Nothing is changed then, nor if they are not finite in the precision of this model.
    """
    values: list[tuple[Any, str, np.ndarray]] = []
    others: list[tuple[Any, np.ndarray]] = []
    for group, variables in _groups(model, metrics).items():
        found = [arrays[name] for name in sorted(arrays) if name.startswith(f"{group}/")]
        if [array.shape for array in found] != [tuple(variable.shape) for variable in variables]:
            raise ValueError(
                f"The training state does not fit: its {group} has {len(found)} variables, and "
                f"here are {len(variables)}, or some are of another shape. Compile the same model "
                "as the training was started with, or start anew in another folder."
            )
        for variable, array in zip(variables, found, strict=True):
            if group == MODEL and is_real(array.dtype):
                values.append((variable, variable.path, array))
            else:
                others.append((variable, array))
    # Before anything else is changed.
    assign_checked("The weights of the training state", values)
    for variable, array in others:
        variable.assign(array)


def first_not_finite(
    model: keras.Model, arrays: Mapping[str, np.ndarray] | None = None
) -> str | None:
    """Returns the path of a weight that is NaN or infinite; `arrays_of` gave `arrays`."""
    for index, variable in enumerate(model.variables):
        array = (
            keras.ops.convert_to_numpy(variable)
            if arrays is None
            else arrays[f"{MODEL}/{index:05d}"]
        )
        # NumPy's own functions do not take bfloat16.
        if array.dtype.kind in "fV" and not np.all(np.isfinite(array.astype(np.float32))):
            return variable.path
    return None


def average_replicas(model: keras.Model) -> None:
    """Gives all replicas on TensorFlow the mean of the moving averages that each keeps for itself.

    Batch norms that are not synchronised have as many of them as there are replicas, and only the
    first replica's are saved. Training does not depend on them, and a mean now is a mean later,
    so that it does not matter when and how often this is done.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for variable in model.non_trainable_variables:
        copies: Any = getattr(variable.value, "values", ())
        if len(copies) > 1 and copies[0].dtype.is_floating:
            variable.assign(tf.add_n([copy.value() for copy in copies]) / len(copies))


def take_averages(model: keras.Model) -> Sequence[np.ndarray]:
    """Replaces weights by the optimizer's averages, if any; gives what they were, for `put_back`.

    Batch norms have moving averages anyway. `keras.callbacks.SwapEMAWeights` adds and subtracts on
    TensorFlow, which rounds: training would continue from weights that are not quite the same.
    """
    # Mixed precision wraps the optimizer in one that scales the loss.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # Before the first step the averages are zero.
    if not getattr(optimizer, "use_ema", False) or not _copy(model.optimizer.iterations):
        return ()
    saved = [_copy(weight) for weight in model.trainable_weights]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    if keras.backend.backend() == "jax":
        # Weights and averages are one array now, which evaluation gives away to be overwritten.
        for weight in model.trainable_weights:
            weight.assign(_copy(weight))
    return saved


def put_back(model: keras.Model, saved: Sequence[np.ndarray]) -> None:
    """Undoes `take_averages`."""
    if saved:
        for weight, array in zip(model.trainable_weights, saved, strict=True):
            weight.assign(array)


def _copy(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))


def _groups(model: keras.Model, metrics: bool) -> dict[str, list[Any]]:
    groups = {MODEL: list(model.variables), OPTIMIZER: list(model.optimizer.variables)}
    if metrics:
        groups[METRICS] = list(model.metrics_variables)
    return groups
