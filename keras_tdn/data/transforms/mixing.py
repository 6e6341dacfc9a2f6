"""What MixUp and CutMix share: checks, partners and shares."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.checks import check_number
from keras_tdn.data.transforms.transform import as_seed, derived_seed

# Beyond this the share is one half for all that matters, and gamma variates overflow far later.
MAX_ALPHA = 1e3


@dataclasses.dataclass(frozen=True)
class BatchMixing(abc.ABC):
    """Mixes each clip of a batch, and its label, with another of the same batch.

    Args:
        alpha: Shares are drawn from the beta distribution with both parameters `alpha`.
        per_clip: Whether each clip gets a share of its own, or the whole batch one.
    """

    alpha: float
    per_clip: bool

    def __post_init__(self) -> None:
        check_number(self, "alpha", 1e-3, MAX_ALPHA)
        if not isinstance(self.per_clip, bool):
            raise ValueError(
                f"{type(self).__name__} needs True or False for `per_clip`. "
                f"Received: per_clip={self.per_clip!r}"
            )

    def __call__(self, inputs: Any, seed: Any) -> tuple[tf.Tensor, tf.Tensor]:
        clips, labels = self._check_inputs(inputs)
        seed = as_seed(seed)
        count = tf.shape(clips)[0]
        partners = tf.random.experimental.stateless_shuffle(tf.range(count), derived_seed(seed, 0))
        shares = self._draw_shares(seed, count if self.per_clip else 1)
        mixed, shares = self.mix(clips, tf.gather(clips, partners), shares, seed)
        shares = shares[:, tf.newaxis]
        mixed_labels = shares * labels + (1 - shares) * tf.gather(labels, partners)
        return tf.ensure_shape(mixed, clips.shape), mixed_labels

    @abc.abstractmethod
    def mix(
        self, clips: tf.Tensor, others: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The mixed clips, and the share of itself that each or all of them kept."""

    def _draw_shares(self, seed: tf.Tensor, count: Any) -> tf.Tensor:
        # float64: with a small alpha both gamma variates can be too small for float32.
        gammas = tf.random.stateless_gamma(
            [2, count], derived_seed(seed, 1), tf.cast(self.alpha, tf.float64), dtype=tf.float64
        )
        return tf.cast(tf.math.divide_no_nan(gammas[0], gammas[0] + gammas[1]), tf.float32)

    def _check_inputs(self, inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        name = type(self).__name__
        if not isinstance(inputs, tuple) or len(inputs) != 2:
            raise ValueError(
                f"{name} takes a tuple (clips, labels). Received: {type(inputs).__name__}"
            )
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
