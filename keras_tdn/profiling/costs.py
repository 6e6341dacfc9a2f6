"""Which layers a model calls, and what the calls cost, by stage and by kind of module."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
from keras.layers import Layer

from keras_tdn.layers import LongTermTDM, MotionFusion, TemporalShift

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
# Each multiplies and adds its whole kernel once for every position of its output.
COUNTED = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D, TemporalShift),
)
RUNNING = ("moving_mean", "moving_variance")
STAGE_ORDER = (
    "stem", "motion stem", "stage 1", "motion stage 1", "stage 2", "stage 3", "stage 4", "head",
)  # fmt: skip
OTHER = "other"
MODULE_ORDER = ("backbone", "short-term TDM", "long-term TDM", "temporal shift")


@dataclasses.dataclass(frozen=True)
class LayerCall:
    """A call of a layer that has no layers inside; `owner` is its layer of the model, or itself."""

    layer: Layer
    owner: Layer
    output_shape: tuple[int, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a part of a model costs for one clip.

    Args:
        name: Which part.
        macs: Multiply-accumulates of convolutions and dense layers.
        parameters: Learned numbers.
        statistics: Running means and variances of its norms, which are not learned.
        activations: Numbers that leave its convolutions and dense layers.
        activation_bytes: What those take.
    """

    name: str
    macs: int
    parameters: int
    statistics: int
    activations: int
    activation_bytes: int


def trace_calls(model: keras.Model, clip_shape: Sequence[int]) -> list[LayerCall]:
    """Returns every call that one clip makes, in order, those of layers inside layers included."""
    # The model runs on placeholders; on PyTorch, where some operations have none, on a clip.
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
    """A model as an operation, whose symbolic call does not stop at layers that tell a shape."""

    def __init__(self, model: keras.Model, on_start: Callable[[], None]) -> None:
        super().__init__(name="trace")
        self._model, self._on_start = model, on_start

    def call(self, clips: Any) -> Any:
        # Keras may run it again: another way where placeholders fail, and with other sizes.
        self._on_start()
        return self._model(clips, training=False)


@contextlib.contextmanager
def _recorded(layer: Layer, owner: Layer, calls: list[LayerCall]) -> Iterator[None]:
    call = layer.call

    def recording(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        if (shape := getattr(output, "shape", None)) is not None:
            dtype = keras.backend.standardize_dtype(output.dtype)
            calls.append(LayerCall(layer, owner, tuple(shape), dtype))
        return output

    # On the instance alone, past the bookkeeping that Keras does for attributes.
    layer.__dict__["call"] = recording
    try:
        yield
    finally:
        del layer.__dict__["call"]


def stages_of(model: keras.Model) -> dict[int, str]:
    """Returns the stage of each layer of a TDN model, by the layer's `id`; empty for others."""
    if (network := getattr(model, "structure", None)) is None:
        return {}
    parts = [("stem", (*network.stem.layers(), *network.stem_pool)), ("head", network.head)]
    parts += [(f"stage {block.stage}", block.layers()) for block in network.blocks()]
    if (motion := network.motion) is not None:
        parts += [
            ("stem", (motion.stem_fusion,)),
            ("stage 1", (motion.stage_fusion,)),
            ("motion stem", (motion.tdm, *motion.pool)),
            *(("motion stage 1", block.layers()) for block in motion.stage),
        ]
    return {id(layer): stage for stage, layers in parts for layer in layers}


def module_of(layer: Layer, stage: str) -> str:
    """Returns the kind of module of a layer; the motion path is the short-term TDM's."""
    if isinstance(layer, LongTermTDM):
        return "long-term TDM"
    if isinstance(layer, TemporalShift):
        return "temporal shift"
    if isinstance(layer, MotionFusion) or stage.startswith("motion"):
        return "short-term TDM"
    return "backbone"


def add_up(
    calls: Iterable[LayerCall],
    part_of: Callable[[Layer], str] = lambda _: "total",
    order: Sequence[str] = (),
) -> tuple[Cost, ...]:
    """Adds up the cost of calls by part of their owners; parts in `order` come first."""
    sums: dict[str, list[int]] = {name: [0] * 5 for name in order}
    seen: set[int] = set()
    for call in calls:
        sizes = sums.setdefault(part_of(call.owner), [0] * 5)
        if isinstance(call.layer, COUNTED):
            values = math.prod(call.output_shape)
            # Of all axes but the channels.
            positions = math.prod(call.output_shape[:-1])
            sizes[0] += positions * math.prod(call.layer.kernel.shape)
            sizes[3] += values
            sizes[4] += values * BYTES[call.dtype]
        if id(call.layer) in seen:
            continue
        seen.add(id(call.layer))
        for variable in call.layer.weights:
            sizes[2 if variable.name in RUNNING else 1] += math.prod(variable.shape)
    return tuple(Cost(name, *sizes) for name, sizes in sums.items() if any(sizes))


def uncounted(calls: Iterable[LayerCall]) -> tuple[str, ...]:
    """Returns names of layers with matrices, of a kind whose MACs are not known."""
    others = [call.layer for call in calls if not isinstance(call.layer, COUNTED)]
    names = (layer.name for layer in others if any(len(each.shape) > 1 for each in layer.weights))
    return tuple(dict.fromkeys(names))
