"""Colour changes as 3 x 3 matrices on (red, green, blue)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

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
