"""Several crops of one clip, whose scores evaluation averages."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.resizing import (
    CORNERS_AND_CENTER,
    ResizeAndCenterCrop,
    center_offset,
    crop_of_resized,
    offsets_at,
    resize_and_crop,
)
from keras_tdn.data.transforms.transform import frame_size
from keras_tdn.specs import ClipSpec, check_field


@dataclasses.dataclass(frozen=True)
class CropSet(ResizeAndCenterCrop):
    """Cuts several crops out of resized frames: uint8 `(num_crops, frames, height, width, 3)`."""

    num_crops: ClassVar[int]
    # Whether each crop is followed by its mirror image.
    mirrored: ClassVar[bool] = False

    @abc.abstractmethod
    def offsets(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns tops and lefts of the windows, in pixels of the resized frame."""

    def boxes(self, height: tf.Tensor | int, width: tf.Tensor | int) -> tf.Tensor:
        """Returns the windows, `(top, left, height, width)` in *resized* pixels, int32."""
        tops, lefts = self.offsets(*self.resized_size(height, width))
        same = tf.ones_like(tops)
        return tf.stack([tops, lefts, self.height * same, self.width * same], axis=1)

    def resizes_first(self, resized: tuple, count: int) -> Any:
        """Whether frames are resized whole, then cut: of very long ones most are in no crop."""
        pixels = tf.cast(resized[0], tf.int64) * tf.cast(resized[1], tf.int64)
        return pixels <= count * self.height * self.width

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        resized = self.resized_size(*frame_size(clip))
        tops, lefts = self.offsets(*resized)
        count = tops.shape[0]
        size = (self.height, self.width)
        corners = [(tops[i], lefts[i]) for i in range(count)]

        def resize_first() -> tf.Tensor:
            whole = crop_of_resized(clip, resized, (0, 0), resized)
            return tf.stack(
                [whole[:, top : top + size[0], left : left + size[1]] for top, left in corners]
            )

        def resize_each() -> tf.Tensor:
            return tf.stack([resize_and_crop(clip, resized, corner, size) for corner in corners])

        crops = tf.cond(self.resizes_first(resized, count), resize_first, resize_each)
        if self.mirrored:
            pairs = tf.stack([crops, tf.reverse(crops, [3])], axis=1)
            crops = tf.reshape(pairs, tf.concat([[2 * count], tf.shape(crops)[1:]], axis=0))
        return tf.ensure_shape(crops, (self.num_crops, clip.shape[0], *size, 3))


@dataclasses.dataclass(frozen=True)
class OneCrop(CropSet):
    """The centre crop of `ResizeAndCenterCrop`, with the axis of crops that the larger sets have.

    Example:

    >>> OneCrop()(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([1, 40, 224, 224, 3])
    """

    num_crops: ClassVar[int] = 1

    def offsets(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        top, left = center_offset(height, self.height), center_offset(width, self.width)
        return top[tf.newaxis], left[tf.newaxis]


@dataclasses.dataclass(frozen=True)
class ThreeCrops(CropSet):
    """Three crops along the long side of frames, as large as the short side allows.

    Use it for the "x3" results of the paper, with a model made for crops of this size. Landscape
    frames give left, right and centre; portrait ones top, bottom and centre.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        height, width: Size of each crop in pixels.
        short_side: Length of the frames' short side before the crops, in pixels.
        always_across: Whether crops lie side by side in portrait frames too. Of those the authors'
            code takes the same crop three times; `True` reproduces it.

    Example:

    >>> ThreeCrops()(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([3, 40, 256, 256, 3])
    """

    height: int = 256
    width: int = 256
    always_across: bool = False
    num_crops: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "always_across", isinstance(self.always_across, bool), "True or False")

    @classmethod
    def from_spec(cls, clip_spec: ClipSpec) -> ThreeCrops:
        """Square crops as large as the short side, which is how the paper's models are tested."""
        side = clip_spec.short_side
        return cls(side, side, side)

    def offsets(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        across = offsets_at(((0, 2), (4, 2), (2, 2)), height, width, self.height, self.width)
        if self.always_across:
            return across
        down = offsets_at(((2, 0), (2, 4), (2, 2)), height, width, self.height, self.width)
        portrait = height > width
        return tf.where(portrait, down[0], across[0]), tf.where(portrait, down[1], across[1])


@dataclasses.dataclass(frozen=True)
class TenCrops(CropSet):
    """The four corners and the centre, each as it is and mirrored.

    Use it where every view counts and left and right do not: a mirrored crop scores the mirrored
    class on data sets such as Something-Something. The order is upper left, upper right, lower
    left, lower right, centre, each followed by its mirror image.

    Args are those of `ResizeAndCenterCrop`.

    Example:

    >>> TenCrops()(tf.zeros((8, 240, 320, 3), tf.uint8)).shape
    TensorShape([10, 8, 224, 224, 3])
    """

    num_crops: ClassVar[int] = 10
    mirrored: ClassVar[bool] = True

    def offsets(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return offsets_at(CORNERS_AND_CENTER, height, width, self.height, self.width)


def crops_of_array(crop_set: CropSet, frames: np.ndarray) -> list[np.ndarray]:
    """Returns what `crop_set(frames)` gives, crop by crop, as views of pixels that must not change.

    Copies for three crops of 300 frames would take 176 MB, and most of the time of reading them.
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
    resized = tuple(int(side) for side in crop_set.resized_size(height, width))
    boxes = crop_set.boxes(height, width).numpy().tolist()
    return resized, boxes, bool(crop_set.resizes_first(resized, len(boxes)))


@functools.lru_cache(maxsize=8)
def _compiled(crop_set: CropSet) -> Callable[[np.ndarray], Any]:
    """Returns the crops as a graph for frames of any size; kept, because tracing is slow."""
    return tf.function(
        lambda frames: crop_set.transform_clip(frames, None),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )


@tf.function(
    input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)]
)
def _resized(frames: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    size = tuple(tf.unstack(size))
    return resize_and_crop(frames, size, (0, 0), size)
