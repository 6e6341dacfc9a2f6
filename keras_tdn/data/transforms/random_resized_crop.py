"""The training crop of image classification: any area, any place."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.checks import check_positive_integers, check_range
from keras_tdn.data.transforms.resampling import crop, resize
from keras_tdn.data.transforms.transform import ClipTransform, as_seed, draw_uniform, frame_size
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec

# Draws of an area and a shape, the first of which that fits into the frame is taken.
ATTEMPTS = 10


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(ClipTransform):
    """Cuts out a window of random area, shape and place, and resizes it to the input size.

    Use it in place of `MultiScaleCrop` for stronger variation. The area is uniform, the aspect
    ratio log-uniform, the place uniform among whole pixels. Where none of ten draws fits, the
    largest centred window is taken whose aspect ratio is allowed.

    Reference: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6;
    arXiv:1409.4842.

    Args:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        area: Smallest and largest area of the window, as fractions of the frame's.
        aspect_ratio: Smallest and largest width over height of the window.

    Returns:
        uint8 of shape `(frames, height, width, 3)`.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> clip = tf.zeros((40, 256, 340, 3), tf.uint8)
    >>> RandomResizedCrop(112, 112)(clip, seed=(0, 7)).shape
    TensorShape([40, 112, 112, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    area: tuple[float, float] = (0.08, 1.0)
    aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width")
        check_range(self, "area", 0, 1)
        check_range(self, "aspect_ratio", 0, math.inf)

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec, **arguments: Any) -> RandomResizedCrop:
        """A window resized to the size that a model takes."""
        return cls(clip_spec.height, clip_spec.width, **arguments)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.resize(crop(clip, self.box(*frame_size(clip), seed)))

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """The window that a call with this seed cuts out of frames of this size.

        Use it to decode nothing else, as with `tf.image.decode_and_crop_jpeg`; `resize` does the
        rest of the transform.

        Args:
            height: Height of the frames in pixels, an integer or a scalar tensor.
            width: Width of the frames in pixels.
            seed: Two integers, int32 of shape `(2,)`.

        Returns:
            `(top, left, height, width)` in pixels, int32 of shape `(4,)`.
        """
        seed = as_seed(seed)
        height, width = tf.cast(height, tf.int32), tf.cast(width, tf.int32)
        frame_height, frame_width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        low, high = self.aspect_ratio
        areas = draw_uniform(seed, 0, *self.area, (ATTEMPTS,)) * frame_height * frame_width
        logarithms = draw_uniform(seed, 1, math.log(low), math.log(high), (ATTEMPTS,))
        heights = tf.round(tf.sqrt(areas / tf.exp(logarithms)))
        widths = tf.round(tf.sqrt(areas * tf.exp(logarithms)))
        # The fallback stands last, and always fits.
        heights = tf.concat([heights, [tf.minimum(frame_height, tf.round(frame_width / low))]], 0)
        widths = tf.concat([widths, [tf.minimum(frame_width, tf.round(frame_height * high))]], 0)
        heights, widths = tf.maximum(heights, 1), tf.maximum(widths, 1)
        chosen = tf.argmax(
            (heights <= frame_height) & (widths <= frame_width), output_type=tf.int32
        )
        crop_height = tf.cast(heights[chosen], tf.int32)
        crop_width = tf.cast(widths[chosen], tf.int32)

        room = tf.stack([height - crop_height, width - crop_width])
        place = draw_uniform(seed, 2, 0, 1, (2,))
        anywhere = tf.cast(place * tf.cast(room + 1, tf.float32), tf.int32)
        top_left = tf.where(chosen == ATTEMPTS, room // 2, tf.minimum(anywhere, room))
        return tf.stack([top_left[0], top_left[1], crop_height, crop_width])

    def resize(self, clip: tf.Tensor) -> tf.Tensor:
        """Resizes a window that was cut out before."""
        return resize(clip, self.height, self.width)
