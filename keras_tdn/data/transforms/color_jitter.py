"""Random light and colour, the same in every frame."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from keras_tdn.data.transforms.checks import check_number
from keras_tdn.data.transforms.color_matrices import GREY_WEIGHTS, hue_matrix, saturation_matrix
from keras_tdn.data.transforms.transform import ClipTransform, draw_uniform, to_pixels


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
