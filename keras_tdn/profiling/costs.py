"""What the calls of layers cost, added up by stage and by kind of module."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_tdn.layers import LongTermTDM, MotionFusion, ShortTermTDM, TemporalShift
from keras_tdn.profiling.layer_calls import LayerCall

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
# Each multiplies and adds its whole kernel once for every position of its output.
COUNTED = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
    TemporalShift,
)
RUNNING = ("moving_mean", "moving_variance")

# By how names of layers begin. The first that fits counts.
STAGES = (
    ("motion_stage1_", "motion stage 1"),
    ("motion_", "motion stem"),
    ("short_term_tdm", "motion stem"),
    ("stem_", "stem"),
    ("stage1_fusion", "stage 1"),
    ("stage1_", "stage 1"),
    ("stage2_", "stage 2"),
    ("stage3_", "stage 3"),
    ("stage4_", "stage 4"),
    ("pool", "head"),
    ("dropout", "head"),
    ("classifier", "head"),
    ("consensus", "head"),
    ("predictions", "head"),
    ("segment_features", "head"),
)
STAGE_ORDER = (
    "stem", "motion stem", "stage 1", "motion stage 1", "stage 2", "stage 3", "stage 4", "head",
)  # fmt: skip
OTHER = "other"
MODULE_ORDER = ("backbone", "short-term TDM", "long-term TDM", "temporal shift")


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


def stage_of(layer: keras.layers.Layer) -> str:
    """The stage that a layer of a TDN model belongs to, by its name; `"other"` of other models."""
    for beginning, stage in STAGES:
        if layer.name.startswith(beginning):
            return stage
    return OTHER


def module_of(layer: keras.layers.Layer) -> str:
    """The kind of module that a layer of a TDN model belongs to.

    The motion path, with its own copy of stage 1, is the short-term TDM's.
    """
    if isinstance(layer, LongTermTDM):
        return "long-term TDM"
    if isinstance(layer, TemporalShift):
        return "temporal shift"
    if isinstance(layer, ShortTermTDM | MotionFusion) or layer.name.startswith("motion_"):
        return "short-term TDM"
    return "backbone"


def add_up(
    calls: Iterable[LayerCall],
    part_of: Callable[[keras.layers.Layer], str] = lambda _: "total",
    order: Sequence[str] = (),
) -> tuple[Cost, ...]:
    """The calls' cost by part.

    Args:
        calls: The calls.
        part_of: The part that a layer of the model belongs to.
        order: Parts that come first, in their order.

    Returns:
        The parts that cost anything.
    """
    sums: dict[str, list[int]] = {name: [0] * 5 for name in order}
    seen: set[int] = set()
    for call in calls:
        sizes = sums.setdefault(part_of(call.owner), [0] * 5)
        if _is_counted(call.layer):
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
    """Names of layers that have matrices and are of a kind whose MACs are not known."""
    names = {
        call.layer.name: None
        for call in calls
        if not _is_counted(call.layer)
        and any(len(variable.shape) > 1 for variable in call.layer.weights)
    }
    return tuple(names)


def _is_counted(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, COUNTED)
