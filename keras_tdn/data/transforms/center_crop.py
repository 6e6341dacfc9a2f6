"""The one view of a frame that validation uses."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_tdn.data.transforms.resampling import center_offset, resize_and_crop, resized_size
from keras_tdn.data.transforms.transform import ClipTransform, check_positive_integers, frame_size
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec


@dataclasses.dataclass(frozen=True)
class ResizeShortSide(ClipTransform):
    """Resizes frames so that their short side has a given length; the shape stays.

    Use it to bring videos of any size to one scale. The resize is bilinear with antialiasing, and
    the long side is rounded down, as in the library that the published models were tested with.

    Args:
        short_side: Length of the short side, in pixels.

    Returns:
        uint8 of shape `(frames, height, width, 3)`, where the smaller of the two is `short_side`.

    Raises:
        ValueError: if `short_side` is not a positive integer.

    Example:

    >>> clip = tf.zeros((40, 240, 320, 3), tf.uint8)
    >>> ResizeShortSide(256)(clip).shape
    TensorShape([40, 256, 341, 3])
    """

    short_side: int = 256

    def __post_init__(self) -> None:
        check_positive_integers(self, "short_side")

    @property
    def is_random(self) -> bool:
        return False

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        short_side = self.short_side
        size = resized_size(*frame_size(clip), short_side, short_side, short_side)
        return crop_of_resized(clip, size, (0, 0), size)


@dataclasses.dataclass(frozen=True)
class CenterCrop(ClipTransform):
    """Cuts out the centre of frames, without a resize.

    Use it on frames that have the right scale already; `ResizeAndCenterCrop` makes it first.

    Args:
        height: Height of the crop in pixels.
        width: Width of the crop in pixels.

    Returns:
        uint8 of shape `(frames, height, width, 3)`.

    Raises:
        ValueError: if an argument is not a positive integer, or frames are smaller than the crop.

    Example:

    >>> clip = tf.zeros((40, 256, 340, 3), tf.uint8)
    >>> CenterCrop()(clip).shape
    TensorShape([40, 224, 224, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width")

    @property
    def is_random(self) -> bool:
        return False

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

    Use it for validation. It is `keras_tdn.data.frame_transforms.resize_and_center_crop` for
    `tf.data` graphs, and resizes nothing but the pixels that the crop keeps.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        height: Height of the crop in pixels.
        width: Width of the crop in pixels.
        short_side: Length of the frames' short side before the crop, in pixels. Where the crop
            would not fit, frames are enlarged until they cover it.

    Returns:
        uint8 of shape `(frames, height, width, 3)`.

    Raises:
        ValueError: if an argument is not a positive integer.

    Example:

    >>> clip = tf.zeros((40, 240, 320, 3), tf.uint8)
    >>> ResizeAndCenterCrop()(clip).shape
    TensorShape([40, 224, 224, 3])
    """

    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    short_side: int = 256

    def __post_init__(self) -> None:
        check_positive_integers(self, "height", "width", "short_side")

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec) -> ResizeAndCenterCrop:
        """The view that a model is validated on."""
        return cls(clip_spec.height, clip_spec.width, clip_spec.short_side)

    @property
    def is_random(self) -> bool:
        return False

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        resized = resized_size(*frame_size(clip), self.short_side, self.height, self.width)
        offset = center_offset(resized[0], self.height), center_offset(resized[1], self.width)
        return crop_of_resized(clip, resized, offset, (self.height, self.width))


def crop_of_resized(clip: tf.Tensor, resized: tuple, offset: tuple, size: tuple) -> tf.Tensor:
    """`resize_and_crop`, without the resize where it would change nothing."""
    height, width = frame_size(clip)
    cropped = tf.cond(
        (height == resized[0]) & (width == resized[1]),
        lambda: clip[:, offset[0] : offset[0] + size[0], offset[1] : offset[1] + size[1]],
        lambda: resize_and_crop(clip, resized, offset, size),
    )
    sides = (side if isinstance(side, int) else tf.get_static_value(side) for side in size)
    return tf.ensure_shape(cropped, (clip.shape[0], *sides, 3))
