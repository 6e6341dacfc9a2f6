"""Which layers a model calls, and on what shapes, without computing anything."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class LayerCall:
    """A call of a layer that has no layers inside.

    Args:
        layer: The layer.
        owner: The layer of the model that it belongs to, or itself.
        output_shape: Shape of what it returned, batch axis included.
        dtype: Dtype of that.
    """

    layer: keras.layers.Layer
    owner: keras.layers.Layer
    output_shape: tuple[int, ...]
    dtype: str


def trace_calls(model: keras.Model, clip_shape: Sequence[int]) -> list[LayerCall]:
    """Every call that one clip makes, in order, those of layers inside other layers included.

    Shapes are the backend's own, found by running the model on placeholders. Nothing is computed on
    TensorFlow and JAX; on PyTorch, where some operations have no placeholders, Keras computes the
    clip once.

    Args:
        model: The model.
        clip_shape: Shape of one clip, `(frames, height, width, 3)`.

    Raises:
        ValueError: if the model does not take such clips.
    """
    calls: list[LayerCall] = []
    trace = _Trace(model, calls.clear)
    with contextlib.ExitStack() as stack:
        for owner in model.layers:
            for layer in owner._flatten_layers():
                if len(list(layer._flatten_layers())) == 1:
                    stack.enter_context(_recorded(layer, owner, calls))
        trace(keras.KerasTensor((1, *clip_shape), dtype="float32"))
    return calls


class _Trace(keras.Operation):
    """A model as an operation, whose symbolic call runs all of it on placeholders.

    A model's own symbolic call stops at layers that tell their output's shape.
    """

    def __init__(self, model: keras.Model, on_start: Callable[[], None]) -> None:
        super().__init__(name="trace")
        self._model = model
        self._on_start = on_start

    def call(self, clips: Any) -> Any:
        # Keras may run it again: another way where placeholders fail, and with other sizes.
        self._on_start()
        return self._model(clips, training=False)


@contextlib.contextmanager
def _recorded(
    layer: keras.layers.Layer, owner: keras.layers.Layer, calls: list[LayerCall]
) -> Iterator[None]:
    call = layer.call

    def recording(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        shape = getattr(output, "shape", None)
        if shape is not None:
            dtype = keras.backend.standardize_dtype(output.dtype)
            calls.append(LayerCall(layer, owner, tuple(shape), dtype))
        return output

    # On the instance alone, past the bookkeeping that Keras does for attributes.
    layer.__dict__["call"] = recording
    try:
        yield
    finally:
        del layer.__dict__["call"]
