"""Crops of frames in memory, which they share where they overlap."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.crop_boxes import resized_size
from keras_tdn.data.transforms.crop_sets import CropSet
from keras_tdn.data.transforms.resampling import resize_and_crop


def crops_of_array(crop_set: CropSet, frames: np.ndarray) -> list[np.ndarray]:
    """What `crop_set(frames)` gives, crop by crop, without a copy of the pixels for each crop.

    Use it where a video has several views: three crops of 300 frames of 256 x 256 pixels would take
    176 MB of new memory, and with it most of the time of reading them.

    Args:
        crop_set: The crops.
        frames: uint8 of shape `(frames, height, width, 3)`; it must not change afterwards.

    Returns:
        For each crop uint8 of shape `(frames, height of the crop, width of the crop, 3)`.

    Example:

    >>> [crop.shape for crop in crops_of_array(ThreeCrops(), np.zeros((40, 256, 340, 3), np.uint8))]
    [(40, 256, 256, 3), (40, 256, 256, 3), (40, 256, 256, 3)]
    """
    resized, boxes, resizes_first = _layout(crop_set, *frames.shape[1:3])
    if not resizes_first:
        return list(_compiled(crop_set)(frames).numpy())
    if frames.shape[1:3] != resized:
        frames = _resized(frames, resized).numpy()
    crops = [frames[:, top : top + tall, left : left + wide] for top, left, tall, wide in boxes]
    if not crop_set.mirrored:
        return crops
    return [crop for window in crops for crop in (window, window[:, :, ::-1])]


@functools.lru_cache(maxsize=64)
def _layout(
    crop_set: CropSet, height: int, width: int
) -> tuple[tuple[int, ...], list[list[int]], bool]:
    """Size after the resize, boxes, and whether the resize comes first.

    Kept, because videos come in few sizes.
    """
    sides = (crop_set.short_side, crop_set.height, crop_set.width)
    resized = tuple(int(side) for side in resized_size(height, width, *sides))
    boxes = crop_set.boxes(height, width).numpy().tolist()
    return resized, boxes, bool(crop_set.resizes_first(resized, len(boxes)))


@functools.lru_cache(maxsize=8)
def _compiled(crop_set: CropSet) -> Callable[[np.ndarray], Any]:
    """The crops as a graph for frames of any size; kept, because making one takes a while."""
    return tf.function(
        lambda frames: crop_set.transform_clip(frames, None),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )


@tf.function(
    input_signature=[
        tf.TensorSpec([None, None, None, 3], tf.uint8),
        tf.TensorSpec([2], tf.int32),
    ]
)
def _resized(frames: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    size = tuple(tf.unstack(size))
    return resize_and_crop(frames, size, (0, 0), size)
