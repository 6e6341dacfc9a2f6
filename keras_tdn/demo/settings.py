"""How large the demo is."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_tdn.choices import DEMO_EPOCHS
from keras_tdn.datasets.motion import MOTION_LABELS
from keras_tdn.training import Recipe
from keras_tdn.training.recipes import motion


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """How large the demo is. The defaults take less than three minutes on two processor cores.

    Args:
        epochs: How often each video is learned from.
        seed: Start of all that is drawn: videos, weights, order.
        num_train: Videos to learn from, as many of each class.
        num_validation: Videos to measure on, as many of each class.

    Raises:
        ValueError: if a number is out of range.
    """

    epochs: int = DEMO_EPOCHS
    seed: int = 0
    num_train: int = 80 * len(MOTION_LABELS)
    num_validation: int = 20 * len(MOTION_LABELS)

    def __post_init__(self) -> None:
        for field, least in (("epochs", 1), ("seed", 0)):
            value = getattr(self, field)
            if not _is_integer(value) or value < least:
                raise ValueError(
                    f"The demo needs an integer of at least {least} for `{field}`. "
                    f"Received: {field}={value!r}"
                )
        classes = len(MOTION_LABELS)
        # At least a batch to learn from.
        for field, least in (("num_train", 2 * classes), ("num_validation", classes)):
            value = getattr(self, field)
            if not _is_integer(value) or value < least or value % classes:
                raise ValueError(
                    f"The demo needs a multiple of {classes}, the number of classes, of at least "
                    f"{least} for `{field}`. Received: {field}={value!r}"
                )

    @classmethod
    def short(cls, seed: int = 0) -> DemoSettings:
        """As few videos as there may be, and one epoch: shows that everything works, no more."""
        classes = len(MOTION_LABELS)
        return cls(epochs=1, seed=seed, num_train=2 * classes, num_validation=classes)

    @property
    def recipe(self) -> Recipe:
        """How both models are trained."""
        warmup = min(motion.warmup_epochs, self.epochs / 4)
        return dataclasses.replace(motion, epochs=self.epochs, warmup_epochs=warmup)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
