"""What turns a record into a clip inside a graph: one class for each kind of record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from keras_tdn.limits import max_bytes, variable

# Pixels of the black frames that stand in for those of a bad record until it is dropped.
STAND_IN_SIDE = 64


class ClipSource(Protocol):
    """Reads the frames that a sampler chooses, and transforms them.

    `fields` holds what `read` needs to know of each record: tensors or arrays whose first axis is
    that of the records. `read` gets their values for one record, and gives the transformed
    `(clip, label)` and the reason why there is none: empty if all is well, else the clip is black.
    """

    @property
    def fields(self) -> Mapping[str, Any]:
        """Tensors or arrays, one entry of the first axis for each record."""
        ...

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Clip, label and reason."""
        ...


def stand_in(num_frames: int) -> tf.Tensor:
    """Black frames, so that what follows finds the shape that it expects."""
    return tf.zeros((num_frames, STAND_IN_SIDE, STAND_IN_SIDE, 3), tf.uint8)


def frames_or_stand_in(
    decode: Callable[..., tf.Tensor],
    inputs: tuple[tf.Tensor, ...],
    num_frames: int,
    reason_if_failed: str,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames that ops decode, and the reason if one of the ops fails.

    A failing op would end the pipeline. Only tf.data can go on after one, so that a data set of
    one element is made here.
    """
    fine = tf.data.Dataset.from_tensors(inputs).map(lambda *values: (decode(*values), ""))
    failed = tf.data.Dataset.from_tensors((stand_in(num_frames), reason_if_failed))
    frames, reason = fine.ignore_errors().concatenate(failed).take(1).get_single_element()
    frames.set_shape([num_frames, None, None, 3])
    return frames, reason


def transform_frames(
    transforms: Any,
    decode: Callable[[Any], tuple[tf.Tensor, tf.Tensor]],
    frame_size: Callable[[], tuple[tf.Tensor, tf.Tensor]],
    num_frames: int,
    label: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decodes no more than the window that the transforms begin with, where they tell it.

    Frames that would take more memory than a clip may are not decoded.
    """
    crops_first = getattr(transforms, "crops_first", False)
    size, window = frame_size(), None
    if crops_first:
        window = transforms.box(*size, seed)
        size = window[2], window[3]
    height, width = (tf.cast(side, tf.int64) for side in size)

    def too_large() -> tuple[tf.Tensor, tf.Tensor]:
        reason = tf.strings.format(
            f"{num_frames} frames of {{}}x{{}} pixels would take more memory than one clip may. To "
            f"allow it, raise the environment variable {variable('clip')}.",
            (height, width),
        )
        return stand_in(num_frames), reason

    fits = 3 * num_frames * height * width <= max_bytes("clip")
    frames, reason = tf.cond(fits, lambda: decode(window), too_large)
    frames.set_shape([num_frames, None, None, 3])
    finish = transforms.finish if crops_first else transforms
    clip, label = finish((frames, label), seed)
    return clip, label, reason
