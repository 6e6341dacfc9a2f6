"""Pairs of clips mixed with their labels: MixUp and CutMix."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.transform import as_seed, check_number, draw_uniform
from keras_tdn.specs import check_field

# Beyond this the share is one half for all that matters, and gamma variates overflow far later.
MAX_ALPHA = 1e3


@dataclasses.dataclass(frozen=True)
class BatchMixing(abc.ABC):
    """Mixes each clip of a batch, and its label, with another of the same batch; see `MixUp`."""

    alpha: float
    per_clip: bool = False

    def __post_init__(self) -> None:
        check_number(self, "alpha", 1e-3, MAX_ALPHA)
        check_field(self, "per_clip", isinstance(self.per_clip, bool), "True or False")

    def __call__(self, inputs: Any, seed: Any) -> tuple[tf.Tensor, tf.Tensor]:
        clips, labels = self._check_inputs(inputs)
        seed = as_seed(seed)
        count = tf.shape(clips)[0]
        shuffle = tf.random.experimental.stateless_shuffle
        partners = shuffle(tf.range(count), tf.random.fold_in(seed, 0))
        shares = self._draw_shares(seed, count if self.per_clip else 1)
        mixed, shares = self.mix(clips, tf.gather(clips, partners), shares, seed)
        shares = shares[:, tf.newaxis]
        mixed_labels = shares * labels + (1 - shares) * tf.gather(labels, partners)
        return tf.ensure_shape(mixed, clips.shape), mixed_labels

    @abc.abstractmethod
    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mixed clips, and the share of itself that each or all of them kept."""

    def _draw_shares(self, seed: tf.Tensor, count: Any) -> tf.Tensor:
        # float64: with a small alpha both gamma variates can be too small for float32.
        seed, alpha = tf.random.fold_in(seed, 1), tf.cast(self.alpha, tf.float64)
        gammas = tf.random.stateless_gamma([2, count], seed, alpha, dtype=tf.float64)
        return tf.cast(tf.math.divide_no_nan(gammas[0], gammas[0] + gammas[1]), tf.float32)

    def _check_inputs(self, inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        name, kind = type(self).__name__, type(inputs).__name__
        if not isinstance(inputs, tuple) or len(inputs) != 2:
            raise ValueError(f"{name} takes a tuple (clips, labels). Received: {kind}")
        clips, labels = (tf.convert_to_tensor(part) for part in inputs)
        if clips.shape.rank != 5:
            raise ValueError(
                f"{name} takes a batch of clips, (batch, frames, height, width, 3); apply it after "
                f"batching. Received: clips with shape={clips.shape}"
            )
        if labels.shape.rank != 2 or not labels.dtype.is_floating:
            raise ValueError(
                f"{name} takes one weight per class as labels, floats of shape (batch, classes); "
                "make them of class numbers with `tf.one_hot(labels, classes)`. "
                f"Received: labels with shape={labels.shape}, dtype={labels.dtype.name}"
            )
        return clips, tf.cast(labels, tf.float32)


@dataclasses.dataclass(frozen=True)
class MixUp(BatchMixing):
    """Blends each clip of a batch, and its label, with another of the same batch.

    Use it for training, after batching. Partners are a random permutation of the batch. The result
    is float32 because blends are not whole levels; models take it as they take uint8.

    Reference: Zhang et al., ICLR 2018; arXiv:1710.09412.

    Args:
        alpha: Shares are drawn from the beta distribution with both parameters `alpha`.
        per_clip: Whether each clip gets a share of its own, or the whole batch one.

    Call arguments:
        inputs: A tuple of clips, pixels in [0, 255] of shape `(batch, frames, height, width, 3)`,
            and labels, one weight per class, floats of shape `(batch, classes)`.
        seed: Two integers, int32 of shape `(2,)`.

    Returns:
        Clips, float32 in [0, 255], and labels, float32.

    Raises:
        ValueError: if an argument is out of its range or the inputs are not such a batch.

    Example:

    >>> batch = tf.zeros((4, 40, 112, 112, 3), tf.uint8), tf.one_hot([0, 1, 2, 0], 3)
    >>> mixed, labels = MixUp()(batch, seed=(0, 7))
    """

    alpha: float = 0.2

    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        clips, others = tf.cast(clips, tf.float32), tf.cast(others, tf.float32)
        return others + tf.reshape(shares, (-1, 1, 1, 1, 1)) * (clips - others), shares


@dataclasses.dataclass(frozen=True)
class CutMix(BatchMixing):
    """Replaces a window of each clip, through all its frames, by that of another of the batch.

    Use it as `MixUp`. The window has the frame's shape and a uniformly drawn centre; labels count
    the pixels that it really covers. Pixels are moved, not blended, so their dtype stays.

    Reference: Yun et al., ICCV 2019; arXiv:1905.04899.

    Args, call arguments and errors are those of `MixUp`.

    Returns:
        Clips, of the dtype that came, and labels, float32.

    Example:

    >>> batch = tf.zeros((4, 40, 112, 112, 3), tf.uint8), tf.one_hot([0, 1, 2, 0], 3)
    >>> mixed, labels = CutMix()(batch, seed=(0, 7))
    """

    alpha: float = 1.0

    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        sides = tf.cast(tf.shape(clips)[2:4], tf.float32)
        # One row per window, (down, across).
        extent = tf.sqrt(1 - shares)[:, tf.newaxis] * sides
        count = tf.shape(shares)[0]
        unit = tf.random.stateless_uniform(tf.stack([count, 2]), tf.random.fold_in(seed, 2))
        start = tf.clip_by_value(tf.round(unit * sides - extent / 2), 0, sides)
        end = tf.clip_by_value(tf.round(unit * sides + extent / 2), 0, sides)

        rows, columns = tf.range(sides[0]), tf.range(sides[1])
        in_rows = (rows >= start[:, :1]) & (rows < end[:, :1])
        in_columns = (columns >= start[:, 1:]) & (columns < end[:, 1:])
        inside = in_rows[:, tf.newaxis, :, tf.newaxis] & in_columns[:, tf.newaxis, tf.newaxis]
        covered = tf.reduce_prod(end - start, axis=1) / tf.reduce_prod(sides)
        return tf.where(inside[..., tf.newaxis], others, clips), 1 - covered


@dataclasses.dataclass(frozen=True)
class MixUpOrCutMix:
    """Calls `mix_up` or `cut_mix`, each half of the time; clips come out as float32."""

    mix_up: MixUp
    cut_mix: CutMix

    def __call__(self, inputs: Any, seed: Any) -> tuple[tf.Tensor, tf.Tensor]:
        seed = as_seed(seed)

        def cut() -> tuple[tf.Tensor, tf.Tensor]:
            clips, labels = self.cut_mix(inputs, tf.random.fold_in(seed, 1))
            return tf.cast(clips, tf.float32), labels

        def blend() -> tuple[tf.Tensor, tf.Tensor]:
            return self.mix_up(inputs, tf.random.fold_in(seed, 2))

        return tf.cond(draw_uniform(seed, 0, 0, 1) < 0.5, blend, cut)


def batch_mixing(mixup_alpha: float, cutmix_alpha: float) -> MixUp | CutMix | MixUpOrCutMix | None:
    """Returns what mixes batches with these shares, of which 0 is none."""
    mix_up = MixUp(mixup_alpha) if mixup_alpha else None
    cut_mix = CutMix(cutmix_alpha) if cutmix_alpha else None
    return MixUpOrCutMix(mix_up, cut_mix) if mix_up and cut_mix else mix_up or cut_mix
