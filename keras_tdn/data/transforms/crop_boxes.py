"""Where crops lie, as arithmetic on sizes that may only be known when the graph runs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

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
