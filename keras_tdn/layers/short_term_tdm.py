"""The short-term temporal difference module, and where its motion joins appearance."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.batch_norm import batch_norm
from keras_tdn.layers.convolution import conv2d
from keras_tdn.layers.layer_helpers import (
    ClipLayer,
    at_least_float32,
    check_channels,
    check_positive_int,
    check_rank,
    halve,
    resize_nearest,
)
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

STEM_KERNEL = 7
STRIDES = 2


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class ShortTermTDM(ClipLayer):
    """Motion inside a segment, from the differences of its neighbouring frames.

    Use it beside a 2-D network on the centre frames, and add its output to that network's with
    `MotionFusion`. The differences of neighbouring frames are stacked along the channels, halved
    by average pooling, and go through convolution 7x7 with stride 2, batch norm and ReLU
    (section 3.2 of the paper). Differences and pooling are computed in float32 even under a half
    precision policy: between normalised frames bfloat16 would round small motion away.

    Args:
        filters: Output channels.
        frames_per_segment: Neighbouring frames in a segment, at least 2.

    Input shape:
        5-D `(batch, num_segments * frames_per_segment, height, width, channels)`, at least
        4 pixels high and wide.

    Output shape:
        4-D `(batch * num_segments, ceil(height // 2 / 2), ceil(width // 2 / 2), filters)`.

    Raises:
        ValueError: if a segment has fewer than 2 frames, or the input is no batch of clips.

    Example:

    >>> clips = keras.ops.ones((2, 8 * 5, 64, 64, 3))
    >>> keras_tdn.layers.ShortTermTDM(filters=64)(clips).shape
    (16, 16, 16, 64)
    """

    def __init__(self, filters: int = 64, frames_per_segment: int = 5, **kwargs: Any) -> None:
        super().__init__(frames_per_segment, minimum=2, autocast=False, **kwargs)
        self.filters = check_positive_int("ShortTermTDM", "filters", filters)
        self.conv = conv2d(
            filters, STEM_KERNEL, strides=STRIDES, name="conv", dtype=self.dtype_policy
        )
        self.norm = batch_norm("norm", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.check_shape(input_shape)
        channels = check_channels("ShortTermTDM", input_shape)
        self.conv.build((None, None, None, channels * (self.frames_per_segment - 1)))
        self.norm.build((None, None, None, self.filters))

    def differences(self, clips: Any) -> Any:
        """Returns what the module sees: each frame of a segment minus the one before it.

        Args:
            clips: A batch of clips, as `call` takes it.

        Returns:
            `(batch * num_segments, height, width, (frames_per_segment - 1) * channels)`, the first
            pair of frames first; float32 at least, in the units of the clips.
        """
        return self._stacked(self._pixels(clips))

    def call(self, clips: Any, training: bool | None = None) -> Any:
        pixels = self._pixels(clips)
        # Pooling is linear: before the differences there is a quarter as much to subtract.
        x = self._stacked(halve(ops.reshape(pixels, (-1, *ops.shape(pixels)[2:]))))
        pad = (STEM_KERNEL // 2, STEM_KERNEL // 2)
        x = self.conv(ops.pad(ops.cast(x, self.compute_dtype), ((0, 0), pad, pad, (0, 0))))
        return ops.relu(self.norm(x, training=training))

    def _pixels(self, clips: Any) -> Any:
        return ops.cast(clips, at_least_float32(self.compute_dtype))

    def _stacked(self, frames: Any) -> Any:
        """Returns the differences of neighbours, stacked along the channels."""
        frames = ops.reshape(frames, (-1, self.frames_per_segment, *ops.shape(frames)[-3:]))
        return ops.concatenate(
            [frames[:, i] - frames[:, i - 1] for i in range(1, self.frames_per_segment)], axis=-1
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch = self.folded_batch(input_shape)
        sizes = (None if size is None else (size // 2 + 1) // 2 for size in input_shape[2:4])
        return (batch, *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raises unless it is that of a batch of clips that are large enough."""
        super().check_shape(shape)
        if any(size is not None and size < 2 * STRIDES for size in shape[2:4]):
            raise ValueError(
                f"ShortTermTDM needs frames of at least {2 * STRIDES} pixels in height and width. "
                f"Received: shape={tuple(shape)}"
            )


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class MotionFusion(keras.layers.Layer):
    """`appearance_weight * appearance + motion_weight * upsampled motion`.

    The lateral connection from the short-term TDM to the 2-D network (section 3.2 of the paper).
    The motion map is brought to the appearance map's size by nearest neighbour.

    Args:
        appearance_weight: Factor of the appearance map.
        motion_weight: Factor of the motion map.

    Input shape:
        A list of two 4-D maps with equal batch and channels,
        `[(batch * num_segments, h, w, channels), (batch * num_segments, h', w', channels)]`.

    Output shape:
        The first map's.

    Raises:
        ValueError: if the inputs are not two such maps.

    Example:

    >>> appearance, motion = keras.ops.ones((16, 56, 56, 64)), keras.ops.ones((16, 28, 28, 64))
    >>> keras_tdn.layers.MotionFusion()([appearance, motion]).shape
    (16, 56, 56, 64)
    """

    def __init__(
        self, appearance_weight: float = 0.5, motion_weight: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.appearance_weight = appearance_weight
        self.motion_weight = motion_weight

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        _check_maps(input_shape)

    def call(self, inputs: list[Any]) -> Any:
        appearance, motion = inputs
        _, height, width, _ = ops.shape(appearance)
        # Weighted while it is small.
        motion = resize_nearest(self.motion_weight * motion, height, width)
        return self.appearance_weight * appearance + motion

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        _check_maps(input_shape)
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "appearance_weight": self.appearance_weight,
            "motion_weight": self.motion_weight,
        }


def _check_maps(shapes: list[tuple[int | None, ...]]) -> None:
    if len(shapes) != 2 or not all(isinstance(shape, (list, tuple)) for shape in shapes):
        raise ValueError(
            f"MotionFusion takes a list of two maps, [appearance, motion]. Received: {shapes}"
        )
    for shape in shapes:
        check_rank("MotionFusion", shape, "(batch * num_segments, height, width, channels)")
    if shapes[0][-1] != shapes[1][-1]:
        raise ValueError(
            "MotionFusion adds two maps, which must have equal channels. "
            f"Received: appearance {tuple(shapes[0])}, motion {tuple(shapes[1])}"
        )
