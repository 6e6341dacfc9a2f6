"""What several layers and the residual blocks share: norms, initialisers, padding, precision."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_tdn.saved_classes import SERIALIZATION_PACKAGE as SERIALIZATION_PACKAGE

DATA_FORMAT = "channels_last"

NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5

HALF_PRECISION = ("float16", "bfloat16")


def batch_norm(name: str, dtype: Any = None) -> keras.layers.BatchNormalization:
    """A batch norm with the constants that every norm of TDN has."""
    return keras.layers.BatchNormalization(
        momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=name, dtype=dtype
    )


def conv2d(
    filters: int, kernel_size: int, *, strides: int = 1, name: str, dtype: Any = None
) -> keras.layers.Conv2D:
    """A bias-free convolution. With a stride it expects its input padded by `symmetric_padding`.

    Keras' `padding="same"` pads the far side only when the stride is 2 and the size even, where
    the reference pads both sides alike.
    """
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=fan_out_normal(kernel_size, filters),
        data_format=DATA_FORMAT,
        name=name,
        dtype=dtype,
    )


def fan_out_normal(kernel_size: int, filters: int) -> keras.initializers.Initializer:
    """Normal with std `sqrt(2 / (kernel area * filters))`.

    Not `VarianceScaling(mode="fan_out")`, which counts one output for a depthwise kernel.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / (kernel_size**2 * filters)))


def symmetric_padding(kernel_size: int) -> int:
    """Zeros on each side of an axis, as the reference pads."""
    return kernel_size // 2


def pad_symmetric(x: Any, kernel_size: int) -> Any:
    """Pads height and width of a 4-D tensor with `kernel_size // 2` zeros on every side."""
    pad = symmetric_padding(kernel_size)
    return ops.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])


def at_least_float32(compute_dtype: str) -> str:
    """The dtype for pixel arithmetic and scores, where half precision would lose small motion."""
    return "float32" if compute_dtype in HALF_PRECISION else compute_dtype
