"""Covering a part of the picture, the same part in every frame."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from keras_tdn.data.transforms.transform import (
    ClipTransform,
    check_number,
    check_range,
    derived_seed,
    draw_uniform,
    frame_size,
)


@dataclasses.dataclass(frozen=True)
class RandomErasing(ClipTransform):
    """Covers a rectangle of random size, shape and place, through all frames of a clip.

    Use it for training, as the last transform. A rectangle that would not fit is cut to the frame.

    Reference: Zhong et al., "Random Erasing Data Augmentation", AAAI 2020; arXiv:1708.04896.

    Args:
        probability: How often clips are covered, from 0 to 1.
        area: Smallest and largest area of the rectangle, as fractions of the frame's.
        aspect_ratio: Smallest and largest width over height, drawn log-uniformly.
        fill: Level, from 0 to 255, that the rectangle is filled with; `None` for random pixels,
            the same in every frame.

    Returns:
        uint8 of the clip's shape.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> clip = tf.zeros((40, 224, 224, 3), tf.uint8)
    >>> RandomErasing(probability=1.0)(clip, seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    probability: float = 0.25
    area: tuple[float, float] = (0.02, 1 / 3)
    aspect_ratio: tuple[float, float] = (0.3, 1 / 0.3)
    fill: int | None = None

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)
        check_range(self, "area", 0, 1)
        check_range(self, "aspect_ratio", 0, math.inf)
        if self.fill is not None:
            check_number(self, "fill", 0, 255)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        erases = draw_uniform(seed, 0, 0, 1) < self.probability
        erased = tf.cond(erases, lambda: self._erase(clip, seed), lambda: clip)
        return tf.ensure_shape(erased, clip.shape)

    def _erase(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        height, width = frame_size(clip)
        frame_height, frame_width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        area = draw_uniform(seed, 1, *self.area) * frame_height * frame_width
        low, high = self.aspect_ratio
        ratio = tf.exp(draw_uniform(seed, 2, math.log(low), math.log(high)))
        box_height = tf.clip_by_value(tf.round(tf.sqrt(area / ratio)), 1, frame_height)
        box_width = tf.clip_by_value(tf.round(tf.sqrt(area * ratio)), 1, frame_width)
        top = tf.floor(draw_uniform(seed, 3, 0, 1) * (frame_height - box_height + 1))
        left = tf.floor(draw_uniform(seed, 4, 0, 1) * (frame_width - box_width + 1))

        rows = tf.range(frame_height)[:, tf.newaxis, tf.newaxis]
        columns = tf.range(frame_width)[:, tf.newaxis]
        in_rows = (rows >= top) & (rows < top + box_height)
        in_columns = (columns >= left) & (columns < left + box_width)
        if self.fill is None:
            noise = tf.random.stateless_uniform(
                tf.stack([height, width, 3]), derived_seed(seed, 5), maxval=256, dtype=tf.int32
            )
            filling = tf.cast(noise, tf.uint8)
        else:
            filling = tf.constant(self.fill, tf.uint8)
        return tf.where(in_rows & in_columns, filling, clip)
