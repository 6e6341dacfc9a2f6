"""A few operations drawn from a set, all with one strength."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_tdn.data.transforms.checks import check_number, check_positive_integers
from keras_tdn.data.transforms.rand_augment_ops import OPERATIONS
from keras_tdn.data.transforms.transform import ClipTransform, draw_integer, draw_uniform

MAX_MAGNITUDE = 10


@dataclasses.dataclass(frozen=True)
class RandAugment(ClipTransform):
    """Applies `num_operations` operations drawn from a set, the same to all frames of a clip.

    Use it for training, after the crop, where data are few. Each draw takes any operation, with
    equal chances and possibly twice, and its direction (left or right, more or less). Statistics
    that an operation needs (extremes, histograms, means) are those of the whole clip, so that
    nothing flickers. Moves and slants go both ways but nothing is mirrored, so labels stay.

    Reference: Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
    search space", NeurIPS 2020; arXiv:1909.13719.

    Args:
        num_operations: How many operations are applied, one after the other.
        magnitude: Strength from 0 to 10. At 10 frames turn by 30 degrees, slant by 0.3, move by
            0.45 of their side, lose 4 bits, and colours change by a factor of 0.1 or 1.9.
        operations: Names to draw from; the default is the set of the paper.
        fill: Level, from 0 to 255, of what moves in from outside the frame.

    Returns:
        uint8 of the clip's shape.

    Raises:
        ValueError: if an argument is out of its range or an operation unknown.

    Example:

    >>> clip = tf.zeros((40, 224, 224, 3), tf.uint8)
    >>> RandAugment(operations=("rotate", "solarize"))(clip, seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    num_operations: int = 2
    magnitude: float = 9.0
    operations: tuple[str, ...] = tuple(OPERATIONS)
    fill: int = 128

    def __post_init__(self) -> None:
        check_positive_integers(self, "num_operations")
        check_number(self, "magnitude", 0, MAX_MAGNITUDE)
        check_number(self, "fill", 0, 255)
        names = self.operations
        known = not isinstance(names, str) and all(name in OPERATIONS for name in names)
        if not known or not names:
            raise ValueError(
                f"RandAugment draws `operations` from {sorted(OPERATIONS)}. "
                f"Received: operations={names!r}"
            )
        object.__setattr__(self, "operations", tuple(names))

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = clip.shape
        for position in range(self.num_operations):
            chosen = draw_integer(seed, 2 * position, len(self.operations))
            sign = tf.sign(draw_uniform(seed, 2 * position + 1, -1, 1) + 1e-9)
            clip = self._apply(clip, chosen, sign)
            clip.set_shape(shape)
        return clip

    def _apply(self, clip: tf.Tensor, chosen: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
        level = tf.constant(self.magnitude / MAX_MAGNITUDE, tf.float32)
        branches = [
            lambda name=name: OPERATIONS[name](clip, level, sign, self.fill)
            for name in self.operations
        ]
        return tf.switch_case(chosen, branches)
