"""A recipe's augmentation, in the words of `keras_tdn.data`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from keras_tdn.data.transforms import CutMix, MixUp, train_transforms
from keras_tdn.data.transforms.transform import as_seed, derived_seed, draw_uniform
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class MixUpOrCutMix:
    """Blends a batch or cuts windows into it, as often the one as the other.

    Args:
        mix_up: The one.
        cut_mix: The other.

    Call arguments:
        inputs: A tuple of clips, pixels in [0, 255] of shape `(batch, frames, height, width, 3)`,
            and labels, floats of shape `(batch, classes)`.
        seed: Two integers, int32 of shape `(2,)`.

    Returns:
        Clips, float32 in [0, 255], and labels, float32.
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


def clip_transforms(recipe: Recipe, spec: ClipSpec) -> Any:
    """Transforms of one clip; `None` leaves them to `make_dataset`, which knows the flip map."""
    return None if recipe.flip else train_transforms(spec, flip=False)


def batch_transforms(recipe: Recipe) -> MixUp | CutMix | MixUpOrCutMix | None:
    """Transforms of one batch, or `None`."""
    mix_up = MixUp(recipe.mixup_alpha) if recipe.mixup_alpha else None
    cut_mix = CutMix(recipe.cutmix_alpha) if recipe.cutmix_alpha else None
    return MixUpOrCutMix(mix_up, cut_mix) if mix_up and cut_mix else mix_up or cut_mix
