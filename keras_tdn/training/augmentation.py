"""A recipe's augmentation, in the words of `keras_tdn.data`."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms import CutMix, MixUp, train_transforms
from keras_tdn.data.transforms.transform import as_seed, derived_seed, draw_uniform
from keras_tdn.specs import ClipSpec


@dataclasses.dataclass(frozen=True)
class MixUpOrCutMix:
    """Blends a batch with `mix_up` or cuts windows into it with `cut_mix`, each half of the time.

    Takes `(clips, labels)`, pixels in [0, 255] and floats of shape `(batch, classes)`, and a seed
    of two integers; returns both as float32.
    """

    mix_up: MixUp
    cut_mix: CutMix

    def __call__(self, inputs: Any, seed: Any) -> tuple[tf.Tensor, tf.Tensor]:
        seed = as_seed(seed)

        def cut() -> tuple[tf.Tensor, tf.Tensor]:
            clips, labels = self.cut_mix(inputs, derived_seed(seed, 1))
            return tf.cast(clips, tf.float32), labels

        return tf.cond(
            draw_uniform(seed, 0, 0.0, 1.0) < 0.5,
            lambda: self.mix_up(inputs, derived_seed(seed, 2)),
            cut,
        )


def clip_transforms(flip: bool, spec: ClipSpec) -> Any:
    """Returns transforms of one clip; `None` leaves them to `make_dataset` with its flip map."""
    return None if flip else train_transforms(spec, flip=False)


def batch_transforms(
    mixup_alpha: float, cutmix_alpha: float
) -> MixUp | CutMix | MixUpOrCutMix | None:
    """Returns transforms of one batch, or `None`."""
    mix_up = MixUp(mixup_alpha) if mixup_alpha else None
    cut_mix = CutMix(cutmix_alpha) if cutmix_alpha else None
    return MixUpOrCutMix(mix_up, cut_mix) if mix_up and cut_mix else mix_up or cut_mix
