"""The training crops, some sizes at fixed positions or any area anywhere, and the mirror."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.resizing import FIXED_POSITIONS, offsets_at, resize
from keras_tdn.data.transforms.transform import (
    ClipTransform,
    as_seed,
    check_number,
    check_positive_integers,
    check_range,
    draw_integer,
    draw_sides,
    draw_uniform,
    frame_size,
)
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec, check_field, check_integer

# A side this close to the input size is taken to be it, which saves a resize by a pixel or two.
SNAP_PIXELS = 3


@dataclasses.dataclass(frozen=True)
class RandomWindow(ClipTransform):
    """Cuts a random window out of the frames and resizes it; `box` knows it before the pixels."""

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width")

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec, **arguments: Any) -> Self:
        """Returns the crop resized to the size that a model takes."""
        return cls(clip_spec.height, clip_spec.width, **arguments)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        top, left, height, width = tf.unstack(self.box(*frame_size(clip), seed))
        return self.resize(clip[:, top : top + height, left : left + width])

    @abc.abstractmethod
    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """Returns `(top, left, height, width)` of what this seed cuts out, int32, in pixels."""

    def resize(self, clip: tf.Tensor) -> tf.Tensor:
        """Resizes a window that was cut out before."""
        return resize(clip, self.height, self.width)


@dataclasses.dataclass(frozen=True)
class MultiScaleCrop(RandomWindow):
    """Cuts out one of some sizes at one of 13 fixed positions, and resizes it to the input size.

    Use it for training; the published models were trained with it. Height and width of the crop are
    fractions of the frame's short side. Every pair of them and every position is equally likely:
    corners, centre, and the middles of the edges and of the quarters.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        height, width: Size of the result in pixels.
        scales: Fractions of the short side, in order.
        max_distance: How far apart in `scales` height and width may be; 0 keeps crops square.

    Example:

    >>> MultiScaleCrop()(tf.zeros((40, 256, 340, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    max_distance: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            scales = tuple(float(scale) for scale in self.scales)
        except TypeError:
            scales = ()
        are_right = bool(scales) and all(0 < scale <= 1 for scale in scales)
        wanted = "fractions of the short side, above 0 and at most 1,"
        check_field(self, "scales", are_right, wanted)
        object.__setattr__(self, "scales", scales)
        check_integer("MultiScaleCrop's", "max_distance", self.max_distance, 0)

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
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
        same = tf.zeros_like(tops)
        boxes = tf.stack([tops, lefts, crop_heights + same, crop_widths + same], axis=-1)
        return tf.reshape(boxes, (-1, 4))

    def _sides(self, height: tf.Tensor, width: tf.Tensor, input_side: int) -> tf.Tensor:
        # float64 and truncation, because the reference computes in Python floats.
        short_side = tf.minimum(height, width)
        scales = tf.constant(self.scales, tf.float64)
        sides = tf.cast(tf.cast(short_side, tf.float64) * scales, tf.int32)
        # The reference snaps even past the edge of the frame, where it then pads with black.
        snaps = (tf.abs(sides - input_side) < SNAP_PIXELS) & (input_side <= short_side)
        return tf.maximum(tf.where(snaps, input_side, sides), 1)


# Draws of an area and a shape, the first of which that fits into the frame is taken.
ATTEMPTS = 10


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(RandomWindow):
    """Cuts out a window of random area, shape and place, and resizes it to the input size.

    Use it in place of `MultiScaleCrop` for stronger variation. The area is uniform, the aspect
    ratio log-uniform, the place uniform among whole pixels. Where none of ten draws fits, the
    largest centred window is taken whose aspect ratio is allowed.

    Reference: Szegedy et al., CVPR 2015, section 6; arXiv:1409.4842.

    Args:
        height, width: Size of the result in pixels.
        area: Smallest and largest area of the window, as fractions of the frame's.
        aspect_ratio: Smallest and largest width over height of the window.

    Example:

    >>> RandomResizedCrop(112, 112)(tf.zeros((40, 256, 340, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 112, 112, 3])
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "area", 0, 1)
        check_range(self, "aspect_ratio", 0, math.inf)

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        seed = as_seed(seed)
        size = tf.cast(tf.stack([height, width]), tf.int32)
        frame = tf.cast(size, tf.float32)
        low, high = self.aspect_ratio
        # The fallback stands last, and always fits.
        fallback = tf.minimum(frame, tf.round(tf.stack([frame[1] / low, frame[0] * high])))
        windows = tf.concat([draw_sides(self, seed, 0, frame, (ATTEMPTS,)), [fallback]], axis=0)
        windows = tf.maximum(windows, 1)
        chosen = tf.argmax(tf.reduce_all(windows <= frame, axis=1), output_type=tf.int32)
        window = tf.cast(windows[chosen], tf.int32)

        room = size - window
        place = draw_uniform(seed, 2, 0, 1, (2,))
        anywhere = tf.cast(place * tf.cast(room + 1, tf.float32), tf.int32)
        top_left = tf.where(chosen == ATTEMPTS, room // 2, tf.minimum(anywhere, room))
        return tf.concat([top_left, window], axis=0)


@dataclasses.dataclass(frozen=True)
class RandomHorizontalFlip(ClipTransform):
    """Mirrors the whole clip left to right, or leaves it; the label follows.

    Where classes differ by direction ("Pushing something from left to right"), pass a `flip_map`,
    or the model learns that they do not differ.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        flip_map: For each class the class that its mirror image belongs to: integers of shape
            `(classes,)`. With it, calls take a tuple `(clip, label)`, whose label is a class's
            number or one weight per class. `None` if every class is its own.
        probability: How often clips are mirrored, from 0 to 1.

    Returns:
        What came, mirrored or not.

    Raises:
        ValueError: if `flip_map` is no map of classes that leads back when applied twice.

    Example:

    >>> flip = RandomHorizontalFlip(flip_map=[1, 0, 2], probability=1.0)
    >>> clip, label = flip((tf.zeros((40, 224, 224, 3), tf.uint8), 0), seed=(0, 7))
    >>> int(label)
    1
    """

    flip_map: Sequence[int] | np.ndarray | None = None
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)
        if self.flip_map is None:
            return
        classes = np.asarray(self.flip_map)
        valid = classes.ndim == 1 and classes.size > 0 and classes.dtype.kind in "iu"
        if not valid or classes.min() < 0 or classes.max() >= classes.size:
            raise ValueError(
                "RandomHorizontalFlip's `flip_map` gives for each class the number of a class: "
                "integers of shape (classes,), from 0 to classes - 1. "
                f"Received: shape={classes.shape}, dtype={classes.dtype}"
            )
        wrong = np.flatnonzero(classes[classes] != np.arange(classes.size))
        if wrong.size:
            raise ValueError(
                "RandomHorizontalFlip's `flip_map` leads back to where it started when applied "
                "twice, as mirroring does. Received a map that sends class "
                f"{wrong[0]} to {classes[wrong[0]]} and that to {classes[classes[wrong[0]]]}."
            )
        object.__setattr__(self, "flip_map", tuple(classes.tolist()))

    @property
    def needs_label(self) -> bool:
        return self.flip_map is not None

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        def mirrored() -> tf.Tensor:
            shape = tf.shape(clip)
            # In three dimensions the op is several times faster.
            rows = tf.reverse(tf.reshape(clip, (shape[0] * shape[1], shape[2], 3)), [1])
            return tf.ensure_shape(tf.reshape(rows, shape), clip.shape)

        return tf.cond(self._flips(seed), mirrored, lambda: clip)

    def transform_label(self, label: Any, seed: tf.Tensor) -> Any:
        if self.flip_map is None:
            return label
        label = tf.convert_to_tensor(label)
        flip_map = tf.constant(self.flip_map, tf.int32)
        if label.shape.rank == 0 and label.dtype.is_integer:
            flipped = tf.cast(tf.gather(flip_map, label), label.dtype)
        elif label.shape == (len(self.flip_map),):
            # The map is its own inverse, so that moving weights there is fetching them from there.
            flipped = tf.gather(label, flip_map)
        else:
            raise ValueError(
                "RandomHorizontalFlip maps the number of a class, or one weight per class, of "
                f"shape ({len(self.flip_map)},) with this `flip_map`. "
                f"Received: label with shape={label.shape}, dtype={label.dtype.name}"
            )
        return tf.where(self._flips(seed), flipped, label)

    def _flips(self, seed: tf.Tensor) -> tf.Tensor:
        return draw_uniform(seed, 0, 0, 1) < self.probability
