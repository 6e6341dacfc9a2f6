"""Predicting from any number of threads, and with all digits of float32."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

# Kept as long as the models themselves, because each is compiled when it is first used.
_STEPS: weakref.WeakKeyDictionary[keras.Model, _Step] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def predict_batch(model: keras.Model, inputs: Any) -> Any:
    """Does what `model.predict_on_batch` does, safely from several threads.

    Use it in place of that method, which on JAX hands the variables over to be overwritten and
    puts them back afterwards: another thread, or another model with the same layers, finds them
    deleted meanwhile, and an interruption at that moment loses them.

    Args:
        model: A model.
        inputs: A batch, as `predict_on_batch` takes it.

    Returns:
        Arrays, as `predict_on_batch` returns them.
    """
    if keras.backend.backend() != "jax" or not _is_compiled(model):
        return model.predict_on_batch(inputs)
    with _LOCK:
        step = _STEPS.get(model)
        if step is None:
            if not model.built:
                # As `predict_on_batch` does.
                with keras.StatelessScope():
                    model(inputs)
            _STEPS[model] = step = _Step(model)
    state = tuple(
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    return keras.tree.map_structure(np.array, step(state, inputs))


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Makes backends compute with all of float32; on GPUs they multiply with 10 bits by default."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        config = tf.config.experimental
        enabled = config.tensor_float_32_execution_enabled()
        config.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            config.enable_tensor_float_32_execution(enabled)
    elif backend == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    else:
        import torch

        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=cudnn.enabled, allow_tf32=False):
            yield


def _is_compiled(model: keras.Model) -> bool:
    if not isinstance(model, keras.Model):
        return False
    # Of what is spread over devices, Keras knows how.
    is_spread = keras.distribution.distribution() is not None
    return bool(model.jit_compile and not model.run_eagerly and not is_spread)


class _Step:
    """Keras' step of prediction on JAX, which leaves the state alone."""

    def __init__(self, model: keras.Model) -> None:
        import jax

        # The model is not kept by what is kept for it.
        owner: Callable[[], Any] = weakref.ref(model)

        def predict(state: Any, inputs: Any) -> Any:
            return owner().predict_step(state, (inputs,))[0]

        self._predict: Callable[..., Any] = jax.jit(predict)
        self._known: set[Any] = set()
        self._lock = threading.Lock()

    def __call__(self, state: Any, inputs: Any) -> Any:
        kind = tuple((value.shape, str(value.dtype)) for value in keras.tree.flatten(inputs))
        if kind in self._known:
            return self._predict(state, inputs)
        # Layers are not called by several threads at once, nor compiled more than once.
        with self._lock:
            outputs = self._predict(state, inputs)
            self._known.add(kind)
            return outputs
