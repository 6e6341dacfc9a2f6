"""Random light and colour, the same in every frame."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.transform import ClipTransform, check_number, draw_uniform, to_pixels

# How much each colour counts in a pixel's grey: ITU-R BT.601, as image libraries have it.
GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)

# Lightness and two axes of colour; the inverse is computed so that a turn by nothing is exact.
_TO_YIQ = np.array([GREY_WEIGHTS, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float64)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def saturation_matrix(factor: tf.Tensor) -> tf.Tensor:
    """Scales each pixel's distance from its grey; 0 makes pixels grey."""
    to_grey = np.tile(GREY_WEIGHTS, (3, 1))
    return factor * tf.eye(3) + (1 - factor) * to_grey


def hue_matrix(angle: tf.Tensor) -> tf.Tensor:
    """Turns colours around the grey axis, by an angle in radians."""
    # identity + (cos - 1) P + sin Q, where P projects on the plane of colour and Q turns in it.
    plane = _FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ _TO_YIQ
    quarter = _FROM_YIQ @ np.array([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]) @ _TO_YIQ
    return (
        tf.eye(3)
        + (tf.cos(angle) - 1) * plane.astype(np.float32)
        + tf.sin(angle) * quarter.astype(np.float32)
    )


@dataclasses.dataclass(frozen=True)
class ColorJitter(ClipTransform):
    """Changes brightness, contrast, saturation and hue by factors drawn once per clip.

    Use it for training on videos whose light or camera varies. The four changes are linear in the
    colours and are applied as one matrix, in the order of the arguments, rounded and clipped once
    at the end. Contrast is relative to the mean grey of the whole clip, so that frames keep their
    brightness relative to each other. Hue turns colours around the grey axis, which keeps their
    lightness; it is not the hue of the HSV model, which does not.

    Args:
        brightness: Factors are drawn from `[1 - brightness, 1 + brightness]`; at most 1.
        contrast: As `brightness`, for the distance from the clip's mean grey.
        saturation: As `brightness`, for the distance from each pixel's grey.
        hue: Turns are drawn from `[-hue, hue]`, in whole turns; at most 0.5.

    Returns:
        uint8 of the clip's shape.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> clip = tf.zeros((40, 224, 224, 3), tf.uint8)
    >>> ColorJitter(hue=0.0)(clip, seed=(0, 7)).shape
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
        brightness = draw_uniform(seed, 0, 1 - self.brightness, 1 + self.brightness)
        contrast = draw_uniform(seed, 1, 1 - self.contrast, 1 + self.contrast)
        saturation = draw_uniform(seed, 2, 1 - self.saturation, 1 + self.saturation)
        turn = draw_uniform(seed, 3, -self.hue, self.hue)
        matrix = brightness * contrast * saturation_matrix(saturation)
        matrix = tf.matmul(hue_matrix(2 * math.pi * turn), matrix)

        pixels = tf.cast(clip, tf.float32)
        mean_grey = tf.tensordot(tf.reduce_mean(pixels, axis=(0, 1, 2)), GREY_WEIGHTS, 1)
        # Saturation and hue leave greys alone, so the grey that contrast adds can come last.
        shift = (1 - contrast) * brightness * mean_grey
        return to_pixels(tf.matmul(pixels, matrix, transpose_b=True) + shift)
