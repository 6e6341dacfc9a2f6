"""A window of one clip in another."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_tdn.data.transforms.mixing import BatchMixing
from keras_tdn.data.transforms.transform import derived_seed


@dataclasses.dataclass(frozen=True)
class CutMix(BatchMixing):
    """Replaces a window of each clip, through all its frames, by that of another of the batch.

    Use it for training, after batching, with labels of one weight per class. Partners are a random
    permutation of the batch. The window has the frame's shape and a uniformly drawn centre; labels
    count the pixels that it really covers. Pixels are moved, not blended, so their dtype stays.

    Reference: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", ICCV 2019; arXiv:1905.04899.

    Args:
        alpha: The share that a clip keeps is drawn from the beta distribution with both parameters
            `alpha`.
        per_clip: Whether each clip gets a window of its own, or the whole batch one.

    Call arguments:
        inputs: A tuple of clips, pixels in [0, 255] of shape `(batch, frames, height, width, 3)`,
            and labels, floats of shape `(batch, classes)`.
        seed: Two integers, int32 of shape `(2,)`.

    Returns:
        Clips, of the dtype that came, and labels, float32.

    Raises:
        ValueError: if an argument is out of its range or the inputs are not such a batch.

    Example:

    >>> clips = tf.zeros((4, 40, 112, 112, 3), tf.uint8)
    >>> mixed, labels = CutMix()((clips, tf.one_hot([0, 1, 2, 0], 3)), seed=(0, 7))
    >>> mixed.dtype
    tf.uint8
    """

    alpha: float = 1.0
    per_clip: bool = False

    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        shape = tf.shape(clips)
        sides = tf.cast(shape[2:4], tf.float32)
        # One row per window, (down, across).
        extent = tf.sqrt(1 - shares)[:, tf.newaxis] * sides
        count = tf.shape(shares)[0]
        unit = tf.random.stateless_uniform(tf.stack([count, 2]), derived_seed(seed, 2))
        start = tf.clip_by_value(tf.round(unit * sides - extent / 2), 0, sides)
        end = tf.clip_by_value(tf.round(unit * sides + extent / 2), 0, sides)

        rows = tf.range(sides[0])
        columns = tf.range(sides[1])
        in_rows = (rows >= start[:, :1]) & (rows < end[:, :1])
        in_columns = (columns >= start[:, 1:]) & (columns < end[:, 1:])
        inside = in_rows[:, :, tf.newaxis] & in_columns[:, tf.newaxis, :]
        covered = tf.reduce_prod(end - start, axis=1) / tf.reduce_prod(sides)
        mixed = tf.where(inside[:, tf.newaxis, :, :, tf.newaxis], others, clips)
        return mixed, 1 - covered
