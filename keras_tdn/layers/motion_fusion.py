"""Adding the motion path to the appearance path."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.layer_helpers import check_rank, resize_nearest
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE


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
        _check_shapes(input_shape)

    def call(self, inputs: list[Any]) -> Any:
        appearance, motion = inputs
        _, height, width, _ = ops.shape(appearance)
        motion = resize_nearest(motion, height, width)
        return self.appearance_weight * appearance + self.motion_weight * motion

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        _check_shapes(input_shape)
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "appearance_weight": self.appearance_weight,
            "motion_weight": self.motion_weight,
        }


def _check_shapes(shapes: list[tuple[int | None, ...]]) -> None:
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
