"""Antialiased resizes of nothing but the pixels that are kept, and centre crops."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import tensorflow as tf

from keras_tdn.data.transforms.transform import ClipTransform, check_positive_integers, frame_size
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec

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
    """Returns height and width after the test resize, as `frame_transforms._resized_size` does.

    The products are int64, because a long side times the short side may not fit int32.
    """
    size = tf.cast(tf.stack([height, width]), tf.int64)
    crop = tf.cast(tf.stack([crop_height, crop_width]), tf.int64)
    resized = short_side * size // tf.reduce_min(size)
    enlarged = tf.cast(tf.cast(size, tf.float64) * tf.reduce_max(crop / size), tf.int64)
    covers = tf.reduce_all(resized >= crop)
    resized = tf.where(covers, resized, tf.maximum(enlarged, crop))
    resized_height, resized_width = tf.unstack(tf.cast(resized, tf.int32))
    return resized_height, resized_width


def center_offset(size: tf.Tensor, crop: int) -> tf.Tensor:
    """Returns where a centre crop starts; halves are rounded to even, as in the reference."""
    return tf.cast(tf.round(tf.cast(size - crop, tf.float64) / 2), tf.int32)


def offsets_at(
    positions: tuple, height: Any, width: Any, crop_height: Any, crop_width: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns tops and lefts of crops at positions in quarters of the room, in whole pixels."""
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
    clip: tf.Tensor, resized: tuple[Any, Any], offset: tuple[Any, Any], size: tuple[Any, Any]
) -> tf.Tensor:
    """Resizes to height and width `resized` and crops `size` at top and left `offset` of that."""
    scales = tf.cast(tf.stack(resized), tf.float32) / tf.cast(tf.shape(clip)[1:3], tf.float32)
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
    """Applies the filter along the first axis; rows as one long pixel are several times faster."""
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


def _to_pixels(values: tf.Tensor) -> tf.Tensor:
    # Means of pixels never leave [0, 255] by half a level, so that clipping would only cost time.
    return tf.cast(values + 0.5, tf.uint8)


@dataclasses.dataclass(frozen=True)
class ResizeShortSide(ClipTransform):
    """Resizes frames so that their short side has a given length; the shape stays.

    The resize is bilinear with antialiasing, and the long side is rounded down, as in the published
    models' tests.

    Args:
        short_side: Length of the short side, in pixels.

    Returns:
        uint8 of shape `(frames, height, width, 3)`, where the smaller of the two is `short_side`.

    Example:

    >>> ResizeShortSide(256)(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([40, 256, 341, 3])
    """

    short_side: int = 256
    is_random = False

    def __post_init__(self) -> None:
        check_positive_integers(self, "short_side")

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        short_side = self.short_side
        size = resized_size(*frame_size(clip), short_side, short_side, short_side)
        return crop_of_resized(clip, size, (0, 0), size)


@dataclasses.dataclass(frozen=True)
class CenterCrop(ClipTransform):
    """Cuts out the centre of frames, without a resize.

    Args:
        height, width: Size of the crop in pixels. Smaller frames are a `ValueError`.

    Example:

    >>> CenterCrop()(tf.zeros((40, 256, 340, 3), tf.uint8)).shape
    TensorShape([40, 224, 224, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    is_random = False

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width")

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        frames, height, width, _ = clip.shape
        if (height or self.height) < self.height or (width or self.width) < self.width:
            raise ValueError(
                f"CenterCrop cuts {self.height}x{self.width} pixels (height x width) out of frames "
                "that are at least that large; resize them first, or use ResizeAndCenterCrop. "
                f"Received frames of {height}x{width}."
            )
        size = frame_size(clip)
        top, left = center_offset(size[0], self.height), center_offset(size[1], self.width)
        cropped = clip[:, top : top + self.height, left : left + self.width]
        return tf.ensure_shape(cropped, (frames, self.height, self.width, 3))


@dataclasses.dataclass(frozen=True)
class ResizeAndCenterCrop(ClipTransform):
    """Resizes the short side of frames, then cuts out the centre: the test view of the paper.

    Use it for validation. It resizes nothing but the pixels that the crop keeps.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        height, width: Size of the crop in pixels.
        short_side: Length of the frames' short side before the crop, in pixels. Where the crop
            would not fit, frames are enlarged until they cover it.

    Example:

    >>> ResizeAndCenterCrop()(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([40, 224, 224, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    short_side: int = 256
    is_random = False

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width", "short_side")

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec) -> Self:
        """Returns the view of the size that a model takes."""
        return cls(clip_spec.height, clip_spec.width, clip_spec.short_side)

    def resized_size(self, height: Any, width: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns height and width of frames of that size after the resize."""
        return resized_size(height, width, self.short_side, self.height, self.width)

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        resized = self.resized_size(*frame_size(clip))
        offset = center_offset(resized[0], self.height), center_offset(resized[1], self.width)
        return crop_of_resized(clip, resized, offset, (self.height, self.width))


def crop_of_resized(clip: tf.Tensor, resized: tuple, offset: tuple, size: tuple) -> tf.Tensor:
    """Does `resize_and_crop`, without the resize where it would change nothing."""
    height, width = frame_size(clip)
    cropped = tf.cond(
        (height == resized[0]) & (width == resized[1]),
        lambda: clip[:, offset[0] : offset[0] + size[0], offset[1] : offset[1] + size[1]],
        lambda: resize_and_crop(clip, resized, offset, size),
    )
    sides = (side if isinstance(side, int) else tf.get_static_value(side) for side in size)
    return tf.ensure_shape(cropped, (clip.shape[0], *sides, 3))
