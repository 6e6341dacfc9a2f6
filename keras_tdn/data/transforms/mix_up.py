"""Averages of pairs of clips."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_tdn.data.transforms.mixing import BatchMixing


@dataclasses.dataclass(frozen=True)
class MixUp(BatchMixing):
    """Blends each clip of a batch, and its label, with another of the same batch.

    Use it for training, after batching, with labels of one weight per class. Partners are a random
    permutation of the batch. The result is float32 because blends are not whole levels; models take
    it as they take uint8.

    Reference: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018;
    arXiv:1710.09412.

    Args:
        alpha: Shares are drawn from the beta distribution with both parameters `alpha`.
        per_clip: Whether each clip gets a share of its own, or the whole batch one.

    Call arguments:
        inputs: A tuple of clips, pixels in [0, 255] of shape `(batch, frames, height, width, 3)`,
            and labels, floats of shape `(batch, classes)`.
        seed: Two integers, int32 of shape `(2,)`.

    Returns:
        Clips, float32 in [0, 255], and labels, float32.

    Raises:
        ValueError: if an argument is out of its range or the inputs are not such a batch.

    Example:

    >>> clips = tf.zeros((4, 40, 112, 112, 3), tf.uint8)
    >>> mixed, labels = MixUp()((clips, tf.one_hot([0, 1, 2, 0], 3)), seed=(0, 7))
    >>> mixed.dtype
    tf.float32
    """

    alpha: float = 0.2
    per_clip: bool = False

    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        clips, others = tf.cast(clips, tf.float32), tf.cast(others, tf.float32)
        return others + tf.reshape(shares, (-1, 1, 1, 1, 1)) * (clips - others), shares
