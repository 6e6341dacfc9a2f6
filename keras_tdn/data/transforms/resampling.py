"""Antialiased bilinear resizing in graphs, of nothing but the pixels that are kept."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.transform import frame_size


def resize(clip: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes whole frames as Pillow's bilinear filter does.

    Where both axes grow, plain bilinear interpolation is the same filter and several times faster.
    """
    from_height, from_width = frame_size(clip)

    def shrink() -> tf.Tensor:
        return resize_and_crop(clip, (height, width), (0, 0), (height, width))

    def enlarge() -> tf.Tensor:
        return _to_pixels(tf.image.resize(clip, (height, width)))

    resized = tf.cond(
        (from_height == height) & (from_width == width),
        lambda: clip,
        lambda: tf.cond((from_height <= height) & (from_width <= width), enlarge, shrink),
    )
    return tf.ensure_shape(resized, (clip.shape[0], height, width, 3))


def resize_and_crop(
    clip: tf.Tensor,
    resized: tuple[Any, Any],
    offset: tuple[Any, Any],
    size: tuple[Any, Any],
) -> tf.Tensor:
    """What a resize to `resized` and then a crop of `size` at `offset` give, in one step.

    Args:
        clip: uint8 of shape `(frames, height, width, 3)`.
        resized: Height and width after the resize, in pixels.
        offset: Top and left of the crop, in pixels of the resized frame.
        size: Height and width of the crop, in pixels.

    Returns:
        uint8 of shape `(frames, *size, 3)`.
    """
    scale = tf.cast(tf.stack(resized), tf.float32) / tf.cast(tf.shape(clip)[1:3], tf.float32)
    values = tf.raw_ops.ScaleAndTranslate(
        images=clip,
        size=tf.stack(size),
        scale=scale,
        translation=-tf.cast(tf.stack(offset), tf.float32),
        kernel_type="triangle",
        antialias=True,
    )
    return _to_pixels(values)


def crop(clip: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Cuts the box `(top, left, height, width)` out of every frame."""
    top, left, height, width = tf.unstack(box)
    return clip[:, top : top + height, left : left + width]


def _to_pixels(values: tf.Tensor) -> tf.Tensor:
    # Means of pixels never leave [0, 255] by half a level, so that clipping would only cost time.
    return tf.cast(values + 0.5, tf.uint8)
