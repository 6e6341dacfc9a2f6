"""Feeding clips to models: checks, normalised inputs, predictions from any number of threads."""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras
import numpy as np

from keras_tdn.models.arguments import fits
from keras_tdn.specs import ClipSpec

T = TypeVar("T")

# Kept as long as the models themselves, because each is compiled when it is first used.
_DERIVED: weakref.WeakKeyDictionary[keras.Model, dict[str, Any]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def derived(model: keras.Model, name: str, make: Callable[[], T]) -> T:
    """Returns what `make` makes of a model's layers, made once: other models, compiled steps."""
    # Later changes of the weights are seen there, because the layers are the same.
    known = _DERIVED.setdefault(model, {})
    if name not in known:
        known[name] = make()
    return known[name]


def forget_derived(model: keras.Model) -> None:
    """Makes `derived` start anew, for a change that compiled functions do not see."""
    _DERIVED.pop(model, None)


def clip_spec_of(model: keras.Model, clip_spec: ClipSpec | None = None) -> ClipSpec:
    """Returns how clips are cut: the caller's specification, or else the model's."""
    if clip_spec is not None:
        if not isinstance(clip_spec, ClipSpec):
            raise ValueError(f"Pass `clip_spec=keras_tdn.ClipSpec(...)`. Received: {clip_spec!r}")
        return clip_spec
    spec = getattr(model, "clip_spec", None)
    if not isinstance(spec, ClipSpec):
        raise ValueError(
            f"The model {getattr(model, 'name', model)!r} does not say how its clips are cut: it "
            "has no `clip_spec`. Pass `clip_spec=keras_tdn.ClipSpec(...)`, or use a TDN model."
        )
    return spec


def warn_of_assumed_clips(model: keras.Model, what: str) -> None:
    """Warns about the clip specification assumed for a `TDNResNet`, since `what` has none."""
    if None not in model.input_shape[2:4]:
        return
    spec = model.clip_spec
    warnings.warn(
        f"{what} does not say how its clips are cut: crops of {spec.height}x{spec.width} pixels "
        f"from frames with a short side of {spec.short_side} are assumed. If it was trained on "
        "others, set `model.clip_spec` (on the command line --size and --short-side) and save it "
        "again.",
        stacklevel=3,
    )


def check_gives_scores(model: keras.Model) -> None:
    """Raises a `ValueError` for a model without its classifier."""
    if getattr(model, "include_top", True) is False:
        raise ValueError(
            "A model without its classifier gives features, not scores. Build it with "
            "`include_top=True`."
        )


def check_takes_clips(
    model: keras.Model, spec: ClipSpec, fix: str, crop_size: tuple[int, int] | None = None
) -> None:
    """Raises a `ValueError`, which ends with the fix, if the model takes clips of another shape.

    A model without a fixed input shape passes. `crop_size` is of views that are no centre crops.
    """
    expected = getattr(model, "input_shape", None)
    shape = (spec.num_frames, *(crop_size or (spec.height, spec.width)), 3)
    if not isinstance(expected, tuple):
        return
    if len(expected) != 5 or not fits(expected[1:], shape):
        raise ValueError(
            f"The model takes clips of shape {expected[1:]}, and "
            f"{'the clip_spec makes clips of' if crop_size is None else 'the views have the'} "
            f"shape {shape}. {fix}"
        )


def model_inputs(model: keras.Model, clips: np.ndarray, spec: ClipSpec) -> Any:
    """Returns pixels as the model takes them: normalised, unless it does that itself."""
    if getattr(model, "include_preprocessing", True):
        return clips
    mean = np.asarray(spec.normalization.mean, np.float32)
    std = np.asarray(spec.normalization.std, np.float32)
    return (clips.astype(np.float32) / np.float32(255) - mean) / std


def predict_batch(model: keras.Model, inputs: Any) -> Any:
    """Does what `model.predict_on_batch` does, safely from several threads."""
    # On JAX that hands the variables over to be overwritten; others find them deleted meanwhile.
    if keras.backend.backend() != "jax" or not _is_compiled(model):
        return model.predict_on_batch(inputs)
    with _LOCK:
        if not model.built:
            # As `predict_on_batch` does.
            with keras.StatelessScope():
                model(inputs)
        step = derived(model, "step", lambda: _Step(model))
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
