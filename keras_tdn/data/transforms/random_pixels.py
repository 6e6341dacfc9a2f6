"""Random changes of pixels, the same in every frame: light and colour, RandAugment, erasing."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.transform import (
    ClipTransform,
    check_number,
    check_positive_integers,
    check_range,
    draw_integer,
    draw_sides,
    draw_uniform,
    to_pixels,
)

# How much each colour counts in a pixel's grey: ITU-R BT.601, as image libraries have it.
GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)

# Lightness and two axes of colour; the inverse is computed so that a turn by nothing is exact.
_TO_YIQ = np.array([GREY_WEIGHTS, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float64)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def saturation_matrix(factor: tf.Tensor) -> tf.Tensor:
    """Scales each pixel's distance from its grey; 0 makes pixels grey."""
    return factor * tf.eye(3) + (1 - factor) * np.tile(GREY_WEIGHTS, (3, 1))


def hue_matrix(angle: tf.Tensor) -> tf.Tensor:
    """Turns colours around the grey axis, by an angle in radians."""
    # identity + (cos - 1) P + sin Q, where P projects on the plane of colour and Q turns in it.
    plane = _FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ _TO_YIQ
    quarter = _FROM_YIQ @ np.array([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]) @ _TO_YIQ
    plane, quarter = plane.astype(np.float32), quarter.astype(np.float32)
    return tf.eye(3) + (tf.cos(angle) - 1) * plane + tf.sin(angle) * quarter


def mean_grey(pixels: tf.Tensor) -> tf.Tensor:
    """Returns the mean grey of a whole clip of float32 pixels."""
    return tf.tensordot(tf.reduce_mean(pixels, axis=(0, 1, 2)), GREY_WEIGHTS, 1)


@dataclasses.dataclass(frozen=True)
class ColorJitter(ClipTransform):
    """Changes brightness, contrast, saturation and hue by factors drawn once per clip.

    Use it for training on videos whose light or camera varies. The changes are one matrix, in the
    order of the arguments, rounded and clipped once at the end.

    Args:
        brightness: Factors are drawn from `[1 - brightness, 1 + brightness]`; at most 1.
        contrast: The same for the distance from the mean grey of the whole clip.
        saturation: The same for the distance from each pixel's grey.
        hue: Turns of colours around the grey axis, which keeps their lightness, are drawn from
            `[-hue, hue]`, in whole turns; at most 0.5.

    Example:

    >>> ColorJitter(hue=0.0)(tf.zeros((40, 224, 224, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __post_init__(self) -> None:
        for field in ("brightness", "contrast", "saturation"):
            check_number(self, field, 0, 1)
        check_number(self, "hue", 0, 0.5)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        brightness, contrast, saturation = (
            draw_uniform(seed, position, 1 - strength, 1 + strength)
            for position, strength in enumerate((self.brightness, self.contrast, self.saturation))
        )
        turn = draw_uniform(seed, 3, -self.hue, self.hue)
        matrix = brightness * contrast * saturation_matrix(saturation)
        matrix = tf.matmul(hue_matrix(2 * math.pi * turn), matrix)

        pixels = tf.cast(clip, tf.float32)
        # Saturation and hue leave greys alone, so the grey that contrast adds can come last.
        shift = (1 - contrast) * brightness * mean_grey(pixels)
        return to_pixels(tf.matmul(pixels, matrix, transpose_b=True) + shift)


# What operations do at most, in either direction.
MAX_TURN = math.radians(30.0)
MAX_SHEAR = 0.3
MAX_TRANSLATION = 0.45
MAX_BLEND = 0.9
MAX_POSTERIZED_BITS = 4

# (clip, amount from -1 to 1, fill) -> clip, uint8 to uint8. Some ignore the sign, or all.
Operation = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]


def auto_contrast(clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    """Stretches each colour to the whole range, by the extremes of the whole clip."""
    low = tf.cast(tf.reduce_min(clip, axis=(0, 1, 2)), tf.float32)
    high = tf.cast(tf.reduce_max(clip, axis=(0, 1, 2)), tf.float32)
    scale = tf.where(high > low, 255 / tf.maximum(high - low, 1), 1)
    return to_pixels((tf.cast(clip, tf.float32) - low) * scale + tf.where(high > low, 0.0, low))


def equalize(clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    """Makes the levels of each colour equally frequent in the whole clip."""
    # One table of 3 x 256 entries; each colour counts and looks up in its own third.
    indices = tf.cast(clip, tf.int32) + tf.constant([0, 256, 512])
    counts = tf.math.bincount(tf.reshape(indices, [-1]), minlength=768, maxlength=768)
    counts = tf.reshape(counts, (3, 256))
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (tf.reduce_sum(counts, axis=1) - tf.gather(counts, last, batch_dims=1)) // 255
    step = step[:, tf.newaxis]
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    return tf.gather(tf.cast(tf.reshape(table, [-1]), tf.uint8), indices)


def posterize(clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    """Clears the lowest bits of every level."""
    bits = tf.cast(tf.round(tf.abs(amount) * MAX_POSTERIZED_BITS), tf.uint8)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(clip, bits), bits)


def solarize(clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    """Inverts the levels above a threshold."""
    threshold = 256 - tf.cast(tf.round(tf.abs(amount) * 256), tf.int32)
    return tf.where(tf.cast(clip, tf.int32) >= threshold, 255 - clip, clip)


def _blurred(pixels: tf.Tensor) -> tf.Tensor:
    """Blurs each frame; the outermost pixels stay."""
    weights = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    kernel = np.tile(weights[:, :, np.newaxis, np.newaxis], (1, 1, 3, 1))
    inner = tf.nn.depthwise_conv2d(pixels, kernel, (1, 1, 1, 1), "VALID")
    return pixels - tf.pad(pixels[:, 1:-1, 1:-1] - inner, ((0, 0), (1, 1), (1, 1), (0, 0)))


# By name, what float32 pixels are moved away from, or towards: grey, black or blurred ones.
BLENDS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "color": lambda pixels: tf.tensordot(pixels, GREY_WEIGHTS, 1)[..., tf.newaxis],
    "contrast": mean_grey,
    "brightness": tf.zeros_like,
    "sharpness": _blurred,
}


def _blend(name: str, clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    pixels = tf.cast(clip, tf.float32)
    return to_pixels(pixels + MAX_BLEND * amount * (pixels - BLENDS[name](pixels)))


_UNCHANGED = [[1.0, 0.0], [0.0, 1.0]]
# By name, the matrix on (x, y) and the translation, in sides of the frame, of an amount.
MOVES: dict[str, Callable[[tf.Tensor], tuple[list, list]]] = {
    "rotate": lambda amount: (_turn(MAX_TURN * amount), [0.0, 0.0]),
    "shear_x": lambda amount: ([[1.0, MAX_SHEAR * amount], [0.0, 1.0]], [0.0, 0.0]),
    "shear_y": lambda amount: ([[1.0, 0.0], [MAX_SHEAR * amount, 1.0]], [0.0, 0.0]),
    "translate_x": lambda amount: (_UNCHANGED, [MAX_TRANSLATION * amount, 0.0]),
    "translate_y": lambda amount: (_UNCHANGED, [0.0, MAX_TRANSLATION * amount]),
}


def _turn(angle: tf.Tensor) -> list:
    return [[tf.cos(angle), -tf.sin(angle)], [tf.sin(angle), tf.cos(angle)]]


def _move(name: str, clip: tf.Tensor, amount: tf.Tensor, fill: int) -> tf.Tensor:
    """Fetches each pixel from the matrix times its place, seen from the centre of the frame."""
    matrix, translation = map(tf.stack, MOVES[name](amount))
    size = tf.shape(clip)[1:3]
    sides = tf.cast(size[::-1], tf.float32)
    center = (sides - 1) / 2
    offset = center - tf.linalg.matvec(matrix, center) + translation * sides
    rows = tf.concat([matrix, offset[:, tf.newaxis]], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(clip, tf.float32),
        transforms=tf.concat([tf.reshape(rows, (1, 6)), tf.zeros((1, 2))], axis=1),
        output_shape=size,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=float(fill),
    )
    return to_pixels(moved)


# In the order of the paper, which the draws follow.
OPERATIONS: dict[str, Operation] = {
    "identity": lambda clip, amount, fill: clip,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "rotate": functools.partial(_move, "rotate"),
    "solarize": solarize,
    "color": functools.partial(_blend, "color"),
    "posterize": posterize,
    **{name: functools.partial(_blend, name) for name in BLENDS if name != "color"},
    **{name: functools.partial(_move, name) for name in MOVES if name != "rotate"},
}


MAX_MAGNITUDE = 10


@dataclasses.dataclass(frozen=True)
class RandAugment(ClipTransform):
    """Applies `num_operations` operations drawn from a set, the same to all frames of a clip.

    Use it for training, after the crop, where data are few. Each draw takes any operation, possibly
    twice, and its direction (left or right, more or less). Statistics that an operation needs are
    those of the whole clip. Nothing is mirrored, so labels stay.

    Reference: Cubuk et al., NeurIPS 2020; arXiv:1909.13719.

    Args:
        num_operations: How many operations are applied, one after the other.
        magnitude: Strength from 0 to 10. At 10 frames turn by 30 degrees, slant by 0.3, move by
            0.45 of their side, lose 4 bits, and colours change by a factor of 0.1 or 1.9.
        operations: Names to draw from; the default is the set of the paper.
        fill: Level, from 0 to 255, of what moves in from outside the frame.

    Example:

    >>> transform = RandAugment(operations=("rotate", "solarize"))
    >>> transform(tf.zeros((40, 224, 224, 3), tf.uint8), seed=(0, 7)).shape
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
        for position in range(self.num_operations):
            chosen = draw_integer(seed, 2 * position, len(self.operations))
            sign = tf.sign(draw_uniform(seed, 2 * position + 1, -1, 1) + 1e-9)
            amount = sign * (self.magnitude / MAX_MAGNITUDE)
            operations = (OPERATIONS[name] for name in self.operations)
            branches = [functools.partial(each, clip, amount, self.fill) for each in operations]
            clip = tf.ensure_shape(tf.switch_case(chosen, branches), clip.shape)
        return clip


@dataclasses.dataclass(frozen=True)
class RandomErasing(ClipTransform):
    """Covers a rectangle of random size, shape and place, through all frames of a clip.

    Use it for training, as the last transform. A rectangle that would not fit is cut to the frame.

    Reference: Zhong et al., AAAI 2020; arXiv:1708.04896.

    Args:
        probability: How often clips are covered, from 0 to 1.
        area: Smallest and largest area of the rectangle, as fractions of the frame's.
        aspect_ratio: Smallest and largest width over height, drawn log-uniformly.
        fill: Level, from 0 to 255, that the rectangle is filled with; `None` for random pixels,
            the same in every frame.

    Example:

    >>> RandomErasing(probability=1.0)(tf.zeros((40, 224, 224, 3), tf.uint8), (0, 7)).shape
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
        size = tf.shape(clip)[1:3]
        frame = tf.cast(size, tf.float32)
        box = tf.clip_by_value(draw_sides(self, seed, 1, frame), 1, frame)
        place = tf.stack([draw_uniform(seed, position, 0, 1) for position in (3, 4)])
        start = tf.floor(place * (frame - box + 1))
        end = start + box

        rows = tf.range(frame[0])[:, tf.newaxis, tf.newaxis]
        columns = tf.range(frame[1])[:, tf.newaxis]
        in_rows = (rows >= start[0]) & (rows < end[0])
        in_columns = (columns >= start[1]) & (columns < end[1])
        filling = self.fill
        if filling is None:
            filling = draw_integer(seed, 5, 256, tf.concat([size, [3]], axis=0))
        return tf.where(in_rows & in_columns, tf.cast(filling, tf.uint8), clip)
