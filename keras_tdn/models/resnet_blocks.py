"""ResNet v1.5 bottlenecks with TDN's temporal modules, as functions on Keras tensors.

Every layer is named `{block}_{part}`, for example `stage3_block2_conv1`: an address for freezing
and for converting weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from keras_tdn.layers import LongTermTDM, TemporalShift
from keras_tdn.layers.common import DATA_FORMAT, batch_norm, conv2d, symmetric_padding

EXPANSION = 4
STEM_KERNEL = 7
POOL_SIZE = 3


@dataclasses.dataclass(frozen=True)
class TemporalModules:
    """Which temporal modules the blocks of stages 2 to 4 carry."""

    num_segments: int
    long_term: bool
    temporal_shift: bool


def apply_stem(x: Any, filters: int, dtype: Any) -> Any:
    """Convolution 7x7 with stride 2, batch norm, ReLU and max pooling on the centre frames."""
    x = _conv_norm_relu(x, filters, STEM_KERNEL, 2, "stem", "", dtype)
    return apply_pool(x, "stem", dtype)


def apply_pool(x: Any, name: str, dtype: Any) -> Any:
    """Max pooling 3x3 with stride 2. It follows a ReLU, so that padding with zeros is neutral."""
    x = _pad(x, POOL_SIZE, f"{name}_pool_pad", dtype)
    return keras.layers.MaxPooling2D(
        POOL_SIZE, strides=2, data_format=DATA_FORMAT, name=f"{name}_pool", dtype=dtype
    )(x)


def apply_stage(
    x: Any,
    width: int,
    depth: int,
    strides: int,
    name: str,
    dtype: Any,
    temporal: TemporalModules | None = None,
) -> Any:
    """`depth` bottlenecks of inner width `width`; the first one changes size and channels."""
    for index in range(depth):
        x = apply_bottleneck(
            x,
            width,
            strides=strides if index == 0 else 1,
            project=index == 0,
            name=f"{name}_block{index}",
            dtype=dtype,
            temporal=temporal,
        )
    return x


def apply_bottleneck(
    x: Any,
    width: int,
    *,
    strides: int,
    project: bool,
    name: str,
    dtype: Any,
    temporal: TemporalModules | None,
) -> Any:
    """1x1, temporal modules, 3x3 with the stride, 1x1, and the shortcut."""
    shortcut = x
    if project:
        shortcut = conv2d(
            EXPANSION * width, 1, strides=strides, name=f"{name}_shortcut_conv", dtype=dtype
        )(x)
        shortcut = batch_norm(f"{name}_shortcut_norm", dtype)(shortcut)

    x = _conv_norm_relu(x, width, 1, 1, name, "1", dtype)
    if temporal and temporal.long_term:
        x = LongTermTDM(temporal.num_segments, name=f"{name}_long_term_tdm", dtype=dtype)(x)
    if temporal and temporal.temporal_shift:
        x = TemporalShift(temporal.num_segments, name=f"{name}_temporal_shift", dtype=dtype)(x)
    x = _conv_norm_relu(x, width, 3, strides, name, "2", dtype)
    x = conv2d(EXPANSION * width, 1, name=f"{name}_conv3", dtype=dtype)(x)
    x = batch_norm(f"{name}_norm3", dtype)(x)
    x = keras.layers.Add(name=f"{name}_add", dtype=dtype)([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_out", dtype=dtype)(x)


def _conv_norm_relu(
    x: Any, filters: int, kernel_size: int, strides: int, name: str, suffix: str, dtype: Any
) -> Any:
    if strides > 1:
        x = _pad(x, kernel_size, f"{name}_pad{suffix}", dtype)
    x = conv2d(filters, kernel_size, strides=strides, name=f"{name}_conv{suffix}", dtype=dtype)(x)
    x = batch_norm(f"{name}_norm{suffix}", dtype)(x)
    return keras.layers.ReLU(name=f"{name}_relu{suffix}", dtype=dtype)(x)


def _pad(x: Any, kernel_size: int, name: str, dtype: Any) -> Any:
    return keras.layers.ZeroPadding2D(
        symmetric_padding(kernel_size), data_format=DATA_FORMAT, name=name, dtype=dtype
    )(x)
