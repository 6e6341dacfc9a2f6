"""Where crops lie, and antialiased bilinear resizing of nothing but the pixels that are kept."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.transform import frame_size

# Steps of a quarter of the room, (across, down), in the order of the reference.
CORNERS_AND_CENTER = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))
FIXED_POSITIONS = (
    *CORNERS_AND_CENTER,
    *((0, 2), (4, 2), (2, 4), (2, 0)),
    *((1, 1), (3, 1), (1, 3), (3, 3)),
)


def resized_size(
    height: tf.Tensor, width: tf.Tensor, short_side: int, crop_height: int, crop_width: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width after the test resize.

    It is `frame_transforms._resized_size` for graphs, where sizes are tensors; a test holds the two
    together. The products are int64, because a long side times the short side may not fit int32.
    """
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    shortest = tf.minimum(height, width)
    resized_height = short_side * height // shortest
    resized_width = short_side * width // shortest

    def enlarged(size: tf.Tensor, crop: int) -> tf.Tensor:
        scale = tf.maximum(
            crop_height / tf.cast(height, tf.float64), crop_width / tf.cast(width, tf.float64)
        )
        return tf.maximum(tf.cast(tf.cast(size, tf.float64) * scale, tf.int64), crop)

    covers = (resized_height >= crop_height) & (resized_width >= crop_width)
    return (
        tf.cast(tf.where(covers, resized_height, enlarged(height, crop_height)), tf.int32),
        tf.cast(tf.where(covers, resized_width, enlarged(width, crop_width)), tf.int32),
    )


def center_offset(size: tf.Tensor, crop: int) -> tf.Tensor:
    """Where a centre crop begins; halves go to the even neighbour, as in the reference."""
    return tf.cast(tf.round(tf.cast(size - crop, tf.float64) / 2), tf.int32)


def offsets_at(
    positions: tuple[tuple[int, int], ...],
    height: Any,
    width: Any,
    crop_height: Any,
    crop_width: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tops and lefts of crops at positions counted in quarters of the room, as the reference does.

    The quarters are whole pixels, so that the last position may stop short of the far edge.
    """
    across, down = tf.unstack(tf.constant(positions, tf.int32), axis=1)
    return (height - crop_height) // 4 * down, (width - crop_width) // 4 * across


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
    shape = tf.shape(clip)
    scales = tf.cast(tf.stack(resized), tf.float32) / tf.cast(shape[1:3], tf.float32)
    shifts = -tf.cast(tf.stack(offset), tf.float32)
    size = tf.stack(size)

    def resample(frame: tf.Tensor) -> tf.Tensor:
        by_columns = _resample_rows(frame, size[0], scales[0], shifts[0])
        by_rows = tf.transpose(by_columns, (1, 0, 2))
        done = _resample_rows(by_rows, size[1], scales[1], shifts[1])
        return _to_pixels(tf.transpose(done, (1, 0, 2)))

    # Frame by frame, so that what lies between the passes stays in the cache.
    return tf.map_fn(resample, clip, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))


def _resample_rows(frame: tf.Tensor, size: Any, scale: Any, shift: Any) -> tf.Tensor:
    """The filter along the first axis. Rows as one long pixel are several times faster."""
    shape = tf.shape(frame)
    rows = tf.raw_ops.ScaleAndTranslate(
        images=tf.reshape(frame, (1, shape[0], 1, shape[1] * 3)),
        size=tf.stack([size, 1]),
        scale=tf.stack([scale, 1.0]),
        translation=tf.stack([shift, 0.0]),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.reshape(rows, (size, shape[1], 3))


def crop(clip: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Cuts the box `(top, left, height, width)` out of every frame."""
    top, left, height, width = tf.unstack(box)
    return clip[:, top : top + height, left : left + width]


def _to_pixels(values: tf.Tensor) -> tf.Tensor:
    # Means of pixels never leave [0, 255] by half a level, so that clipping would only cost time.
    return tf.cast(values + 0.5, tf.uint8)
