"""What every transform of a clip is: a pure function of the clip and a seed."""

from __future__ import annotations

import abc
import dataclasses
import math
import numbers
from typing import Any, ClassVar

import tensorflow as tf

from keras_tdn.specs import check_field


@dataclasses.dataclass(frozen=True, eq=False)
class ClipTransform(abc.ABC):
    """A frozen description that is called with a clip, or a clip and its label, and a seed.

    Use it as the base of a transform of your own: define `transform_clip`, and `transform_label` if
    the label changes with the pixels. Everything random is drawn from the seed alone and once per
    clip, so that what differs between frames stays motion, and so that the same seed gives the same
    clip, eagerly and inside `tf.data`, in whatever process.

    Call arguments:
        inputs: A clip, uint8 pixels in [0, 255] of shape `(frames, height, width, 3)` with any
            height and width; or a tuple `(clip, label)`.
        seed: Two integers, int32 of shape `(2,)`. Transforms that draw nothing do without.

    Returns:
        A clip, uint8 of shape `(frames, height, width, 3)`, or `(clip, label)` if that came.

    Raises:
        ValueError: if an argument is not as it is described, when a transform is made as when it is
            called; the message names the argument, what it takes and what came.

    Example:

    >>> class Negative(ClipTransform):
    ...     def transform_clip(self, clip, seed):
    ...         return 255 - clip
    """

    # Whether a call needs a seed.
    is_random: ClassVar[bool] = True

    def __call__(self, inputs: Any, seed: Any = None) -> Any:
        name, has_label = type(self).__name__, isinstance(inputs, tuple)
        if has_label and len(inputs) != 2:
            raise ValueError(
                f"{name} takes a clip or a tuple (clip, label). Received a tuple of {len(inputs)}."
            )
        clip = as_clip(inputs[0] if has_label else inputs, name)
        if seed is not None:
            seed = as_seed(seed)
        elif self.is_random:
            raise ValueError(
                f"{name} draws at random and needs a seed: two integers, int32 of shape (2,), for "
                "example from the record's index and the epoch. Received: seed=None"
            )
        if has_label:
            return self.transform_clip(clip, seed), self.transform_label(inputs[1], seed)
        if self.needs_label:
            raise ValueError(
                f"{name} changes labels, as it was made, and takes a tuple (clip, label). Received "
                "a clip alone."
            )
        return self.transform_clip(clip, seed)

    @property
    def needs_label(self) -> bool:
        """Whether a clip cannot be transformed without its label."""
        return False

    @abc.abstractmethod
    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the clip's pixels, transformed; uint8 of rank 4."""

    def transform_label(self, label: Any, seed: tf.Tensor) -> Any:
        """Returns the label of the transformed clip."""
        return label


def as_clip(clip: Any, name: str) -> tf.Tensor:
    """Returns the clip as a tensor; a `ValueError` unless uint8 of shape (frames, h, w, 3)."""
    clip = tf.convert_to_tensor(clip)
    if clip.shape.rank != 4 or clip.shape[-1] != 3:
        raise ValueError(
            f"{name} takes one clip of shape (frames, height, width, 3), before batching. In a "
            "tf.data graph the rank and the colours must be known; give them with "
            f"`clip.set_shape([None, None, None, 3])`. Received: shape={clip.shape}"
        )
    if clip.dtype != tf.uint8:
        raise ValueError(
            f"{name} takes uint8 pixels in [0, 255]; models normalise them inside. "
            f"Received: dtype={clip.dtype.name}"
        )
    return clip


def as_seed(seed: Any) -> tf.Tensor:
    """Returns the seed as an int32 tensor; a `ValueError` unless it is two integers."""
    seed = tf.convert_to_tensor(seed)
    if seed.shape != (2,) or not seed.dtype.is_integer:
        raise ValueError(
            "A seed is two integers, int32 of shape (2,). "
            f"Received: shape={seed.shape}, dtype={seed.dtype.name}"
        )
    return tf.cast(seed, tf.int32)


def draw_uniform(
    seed: tf.Tensor, position: int, low: float, high: float, shape: tuple[int, ...] = ()
) -> tf.Tensor:
    """Draws float32, uniform in [low, high), independent of the draws at other positions."""
    unit = tf.random.stateless_uniform(shape, tf.random.fold_in(seed, position))
    return low + (high - low) * unit


def draw_integer(seed: tf.Tensor, position: int, count: Any, shape: Any = ()) -> tf.Tensor:
    """Draws int32, uniform in [0, count)."""
    seed = tf.random.fold_in(seed, position)
    return tf.random.stateless_uniform(shape, seed, maxval=count, dtype=tf.int32)


def draw_sides(
    transform: Any, seed: tf.Tensor, position: int, frame: tf.Tensor, shape: tuple[int, ...] = ()
) -> tf.Tensor:
    """Draws heights and widths of windows in whole pixels, float32 of shape `(*shape, 2)`.

    The transform's `area` is the range of their areas in those of the frame, whose height and width
    are float32, and `aspect_ratio` that of width over height, which is drawn log-uniformly.
    """
    low, high = transform.area
    areas = draw_uniform(seed, position, low, high, shape) * frame[0] * frame[1]
    low, high = (math.log(ratio) for ratio in transform.aspect_ratio)
    ratios = tf.exp(draw_uniform(seed, position + 1, low, high, shape))
    return tf.round(tf.sqrt(tf.stack([areas / ratios, areas * ratios], axis=-1)))


def operations_in(graph: Any) -> set[str]:
    """Returns the names of the operations in a `GraphDef` and its functions."""
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return {node.op for node in nodes}


def frame_size(clip: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns height and width, int32 scalars."""
    shape = tf.shape(clip)
    return shape[1], shape[2]


def to_pixels(values: tf.Tensor) -> tf.Tensor:
    """Rounds float32 levels to uint8, clipped to [0, 255]."""
    return tf.saturate_cast(tf.round(values), tf.uint8)


def check_positive_integers(transform: Any, *fields: str) -> None:
    """Raises a `ValueError` unless the fields are integers of at least 1."""
    for field in fields:
        value = getattr(transform, field)
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        check_field(transform, field, is_integer and value >= 1, "a positive integer")


def check_number(transform: Any, field: str, low: float, high: float) -> None:
    """Raises a `ValueError` unless the field is a number in [low, high]."""
    value = getattr(transform, field)
    is_right = _is_number(value) and low <= float(value) <= high
    check_field(transform, field, is_right, f"a number from {low} to {high}")


def check_range(transform: Any, field: str, low: float, high: float) -> None:
    """Raises a `ValueError` unless the field is `(lowest, highest)`, in order, in (low, high]."""
    value = getattr(transform, field)
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
    is_right = is_pair and low < value[0] <= value[1] <= high and math.isfinite(value[1])
    wanted = f"two numbers (lowest, highest) above {low} and at most {high}"
    check_field(transform, field, is_right, wanted)
    object.__setattr__(transform, field, tuple(float(end) for end in value))


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
