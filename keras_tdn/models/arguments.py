"""Checks of the model constructors' arguments, all made before any layer is."""

from __future__ import annotations

from collections.abc import Sequence

from keras_tdn.layers.layer_helpers import check_positive_int
from keras_tdn.limits import check_bytes
from keras_tdn.specs import ClipSpec

NUM_STAGES = 4
MIN_SIZE = 32
POOLINGS = (None, "avg", "max")
CHANNELS = 3
# A file must not make a model that takes hours to build.
MAX_BLOCKS = 1000
# Channels that leave a bottleneck, in units of those inside.
EXPANSION = 4


def check_stage_depths(stage_depths: Sequence[int]) -> tuple[int, ...]:
    """Returns the depths as a tuple; raises unless they are four positive integers."""
    if isinstance(stage_depths, str) or len(tuple(stage_depths)) != NUM_STAGES:
        raise ValueError(
            f"`stage_depths` needs {NUM_STAGES} integers, the bottlenecks of each stage, for "
            f"example (3, 4, 6, 3). Received: stage_depths={stage_depths!r}"
        )
    depths = [check_positive_int("TDNResNet", "stage_depths", depth) for depth in stage_depths]
    if sum(depths) > MAX_BLOCKS:
        raise ValueError(
            f"`stage_depths` may have at most {MAX_BLOCKS} bottlenecks in all, far more than any "
            f"published ResNet. Received: stage_depths={stage_depths!r}"
        )
    return tuple(depths)


def count_weights(stage_depths: Sequence[int], width: int, classes: int | None) -> int:
    """Returns how many numbers the kernels of blocks and classifier have, the bulk of a model."""
    features = EXPANSION * 2 ** (NUM_STAGES - 1) * width
    classifier = 0 if classes is None else features * classes
    units = sum(depth * 4**stage for stage, depth in enumerate(stage_depths))
    return classifier + (2 * EXPANSION + 9) * units * width**2


def check_size(stage_depths: Sequence[int], width: int, classes: int | None) -> None:
    """Raises if the weights would take more memory than a model may, four bytes each."""
    shown = f"stage_depths={tuple(stage_depths)}, width={width}, classes={classes}"
    num_bytes = 4 * count_weights(stage_depths, width, classes)
    check_bytes(num_bytes, "model", f"The weights of a TDNResNet with {shown}")


def check_clip_shape(
    input_shape: Sequence[int | None] | None, num_segments: int, frames_per_segment: int
) -> tuple[int | None, ...]:
    """Returns the shape of one clip, with the number of frames filled in."""
    frames = num_segments * frames_per_segment
    if input_shape is None:
        return (frames, None, None, CHANNELS)
    shape = tuple(input_shape)
    expected = f"({frames}, height, width, {CHANNELS})"
    if len(shape) != 4 or shape[0] not in (frames, None) or shape[3] != CHANNELS:
        raise ValueError(
            f"`input_shape` is that of one clip, without the batch axis: {expected} for "
            f"{num_segments} segments of {frames_per_segment} frames. "
            f"Received: input_shape={input_shape}"
        )
    if not all(size is None or (isinstance(size, int) and size >= MIN_SIZE) for size in shape[1:3]):
        raise ValueError(
            f"Height and width of a clip must be at least {MIN_SIZE} pixels, or None for any size. "
            f"Received: input_shape={input_shape}"
        )
    return (frames, *shape[1:])


def fits(expected: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether an input of this shape is one that a model takes, to which `None` is any size."""
    return all(size in (None, given) for size, given in zip(expected, shape, strict=True))


def check_clip_spec(
    spec: ClipSpec, num_segments: int, frames_per_segment: int, clip_shape: Sequence[int | None]
) -> None:
    """Raises unless clips of this specification fit the model."""
    if not isinstance(spec, ClipSpec):
        raise ValueError(f"`clip_spec` is a keras_tdn.ClipSpec. Received: clip_spec={spec!r}")
    if (spec.num_segments, spec.frames_per_segment) != (num_segments, frames_per_segment):
        raise ValueError(
            f"The model takes {num_segments} segments of {frames_per_segment} frames. "
            f"Received: clip_spec={spec}"
        )
    if not fits(clip_shape[1:3], (spec.height, spec.width)):
        raise ValueError(
            f"The model takes clips of {clip_shape[1]}x{clip_shape[2]} pixels alone, and the "
            f"clip_spec makes crops of {spec.height}x{spec.width}. Build the model without an "
            "`input_shape` to have it take any size."
        )


def check_head(
    include_top: bool, pooling: str | None, classes: int, labels: Sequence[str] | None
) -> tuple[str, ...] | None:
    """Checks the arguments of the model's output, and returns the labels as a tuple."""
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: pooling={pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` chooses the output of a model without its classifier: pass "
            f"include_top=False with it. Received: include_top=True, pooling={pooling!r}"
        )
    check_positive_int("TDNResNet", "classes", classes)
    if labels is None:
        return None
    check_labels(labels, classes)
    return tuple(str(label) for label in labels)


def check_labels(labels: Sequence[str], classes: int, kind: type = object) -> None:
    """Raises unless there are as many names, all of a kind, as classes."""
    is_text = isinstance(labels, str)
    if is_text or len(labels) != classes or not all(isinstance(name, kind) for name in labels):
        raise ValueError(
            f"`labels` needs one name for each of the {classes} classes, in the order of the "
            "model's scores; keras_tdn.labels.load_labels reads them from a file or by a data "
            f"set's name. Received: {repr(labels) if is_text else f'{len(labels)} names'}"
        )


def check_fraction(argument: str, value: float) -> float:
    """Returns the value; raises unless it is in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"`{argument}` must be in [0, 1). Received: {argument}={value!r}")
    return float(value)
