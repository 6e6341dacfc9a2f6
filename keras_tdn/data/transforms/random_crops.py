"""The training crops: some sizes at fixed positions, as in the paper; any area, any place."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.resizing import FIXED_POSITIONS, crop, offsets_at, resize
from keras_tdn.data.transforms.transform import (
    ClipTransform,
    as_seed,
    check_positive_integers,
    check_range,
    draw_integer,
    draw_uniform,
    frame_size,
)
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec

# A side this close to the input size is taken to be it, which saves a resize by a pixel or two.
SNAP_PIXELS = 3


@dataclasses.dataclass(frozen=True)
class MultiScaleCrop(ClipTransform):
    """Cuts out one of some sizes at one of 13 fixed positions, and resizes it to the input size.

    Use it for training; the published models were trained with it. Height and width of the crop are
    fractions of the frame's short side, drawn together from the pairs whose fractions are at most
    `max_distance` places apart in `scales`. Every pair and every position is equally likely. The
    positions are the corners, the centre, the middles of the edges and of the quarters.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        scales: Fractions of the short side, in order.
        max_distance: How far apart in `scales` height and width may be; 0 keeps crops square.

    Returns:
        uint8 of shape `(frames, height, width, 3)`.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> clip = tf.zeros((40, 256, 340, 3), tf.uint8)
    >>> MultiScaleCrop()(clip, seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    max_distance: int = 1

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width")
        try:
            scales = tuple(float(scale) for scale in self.scales)
        except TypeError:
            scales = ()
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise ValueError(
                "MultiScaleCrop needs fractions of the short side, above 0 and at most 1, for "
                f"`scales`. Received: scales={self.scales!r}"
            )
        object.__setattr__(self, "scales", scales)
        distance = self.max_distance
        if isinstance(distance, bool) or not isinstance(distance, int) or distance < 0:
            raise ValueError(
                "MultiScaleCrop needs an integer of at least 0 for `max_distance`. "
                f"Received: max_distance={distance!r}"
            )

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec) -> MultiScaleCrop:
        """Returns the paper's crop, resized to the size that a model takes."""
        return cls(clip_spec.height, clip_spec.width)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.resize(crop(clip, self.box(*frame_size(clip), seed)))

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """Returns the window that a call with this seed cuts out of frames of this size.

        Use it to decode nothing else, as with `tf.image.decode_and_crop_jpeg`; `resize` does the
        rest of the transform.

        Args:
            height: Height of the frames in pixels, an integer or a scalar tensor.
            width: Width of the frames in pixels.
            seed: Two integers, int32 of shape `(2,)`.

        Returns:
            `(top, left, height, width)` in pixels, int32 of shape `(4,)`.
        """
        boxes = self.boxes(height, width)
        return boxes[draw_integer(as_seed(seed), 0, tf.shape(boxes)[0])]

    def boxes(self, height: Any, width: Any) -> tf.Tensor:
        """Every window that can be drawn, each as likely: int32 of shape `(count, 4)`."""
        height, width = tf.cast(height, tf.int32), tf.cast(width, tf.int32)
        heights = self._sides(height, width, self.height)
        widths = self._sides(height, width, self.width)
        places = range(len(self.scales))
        pairs = [(i, j) for i in places for j in places if abs(i - j) <= self.max_distance]
        crop_heights = tf.gather(heights, [i for i, _ in pairs])[:, tf.newaxis]
        crop_widths = tf.gather(widths, [j for _, j in pairs])[:, tf.newaxis]
        tops, lefts = offsets_at(FIXED_POSITIONS, height, width, crop_heights, crop_widths)
        boxes = tf.stack(
            [tops, lefts, crop_heights + tf.zeros_like(tops), crop_widths + tf.zeros_like(lefts)],
            axis=-1,
        )
        return tf.reshape(boxes, (-1, 4))

    def resize(self, clip: tf.Tensor) -> tf.Tensor:
        """Resizes a window that was cut out before."""
        return resize(clip, self.height, self.width)

    def _sides(self, height: tf.Tensor, width: tf.Tensor, input_side: int) -> tf.Tensor:
        # float64 and truncation, because the reference computes in Python floats.
        short_side = tf.cast(tf.minimum(height, width), tf.float64)
        sides = tf.cast(short_side * tf.constant(self.scales, tf.float64), tf.int32)
        # The reference snaps even past the edge of the frame, where it then pads with black.
        snaps = (tf.abs(sides - input_side) < SNAP_PIXELS) & (
            input_side <= tf.minimum(height, width)
        )
        return tf.maximum(tf.where(snaps, input_side, sides), 1)


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
        """Returns a window resized to the size that a model takes."""
        return cls(clip_spec.height, clip_spec.width, **arguments)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.resize(crop(clip, self.box(*frame_size(clip), seed)))

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """Returns the window that a call with this seed cuts out of frames of this size.

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
