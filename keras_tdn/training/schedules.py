"""Learning rates over the course of training, and whether it is long enough for them."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

if TYPE_CHECKING:
    from keras_tdn.training.recipe import Recipe

logger = logging.getLogger("keras_tdn")

# Where the authors' cosine ends, whatever its start.
COSINE_FLOOR = 1e-5
# Share of the starting weights in their average at the end: with a warning, and at most.
NOTED_SHARE = 0.1
MAX_SHARE = 0.5
# Of the batches, at the end, whose gradients are never applied.
NOTED_REST = 0.1


@dataclasses.dataclass(frozen=True)
class StepDecay:
    """The learning rate drops by a factor at each of a few epochs, which count from the start.

    Args:
        epochs: Where it drops, ascending; fractions are allowed.
        factor: What it is multiplied with each time.
    """

    epochs: tuple[float, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check_drops(self, "epochs", "positive, ascending epochs, for example (30, 45, 55)")

    def build(self, rate: float, steps_per_epoch: float, epochs: float, start: float) -> Any:
        """Returns the schedule from epoch `start` on, counted in steps from there."""
        # Keras keeps a value up to and including its boundary; PyTorch drops at the milestone.
        boundaries = [round((epoch - start) * steps_per_epoch) - 1 for epoch in self.epochs]
        # Drops that fall on one step, in a short training, follow each other.
        for index in range(1, len(boundaries)):
            boundaries[index] = max(boundaries[index], boundaries[index - 1] + 1)
        values = [rate * self.factor**drop for drop in range(len(boundaries) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


@dataclasses.dataclass(frozen=True)
class ProportionalStepDecay:
    """Like `StepDecay`, at `shares` of the training, ascending, between 0 and 1."""

    shares: tuple[float, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        wanted = "ascending shares between 0 and 1, for example (0.6, 0.85)"
        _check_drops(self, "shares", wanted, below=1)

    def build(self, rate: float, steps_per_epoch: float, epochs: float, start: float) -> Any:
        drops = StepDecay(tuple(share * epochs for share in self.shares), self.factor)
        return drops.build(rate, steps_per_epoch, epochs, start)


@dataclasses.dataclass(frozen=True)
class CosineDecay:
    """The learning rate follows half a cosine from its start to `floor`."""

    floor: float = COSINE_FLOOR

    def __post_init__(self) -> None:
        if not self.floor >= 0:
            raise ValueError(f"CosineDecay's `floor` is at least 0. Received: floor={self.floor!r}")

    def build(self, rate: float, steps_per_epoch: float, epochs: float, start: float) -> Any:
        steps, alpha = max(1, round((epochs - start) * steps_per_epoch)), self.floor / rate
        return keras.optimizers.schedules.CosineDecay(rate, steps, alpha=min(1.0, alpha))


def _check_drops(decay: Any, field: str, wanted: str, below: float = math.inf) -> None:
    name, drops = type(decay).__name__, tuple(getattr(decay, field))
    if not drops or list(drops) != sorted(set(drops)) or not 0 < drops[0] <= drops[-1] < below:
        raise ValueError(f"{name} needs {wanted}. Received: {field}={getattr(decay, field)!r}")
    if not 0 < decay.factor < 1:
        raise ValueError(f"{name}'s `factor` is between 0 and 1. Received: factor={decay.factor!r}")
    object.__setattr__(decay, field, drops)


Schedule = StepDecay | ProportionalStepDecay | CosineDecay


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A straight line up to where another schedule starts, which then counts from its end.

    Use it in front of any schedule; only Keras' `CosineDecay` has a warm-up of its own.

    Args:
        schedule: What comes after it: a `LearningRateSchedule`.
        learning_rate: Where the line ends.
        steps: How many steps it takes.
        start: Share of `learning_rate` that it starts with; the authors' `1 / warmup_multiplier`.

    Example:

    >>> cosine = keras.optimizers.schedules.CosineDecay(0.01, 1000)
    >>> rate = WarmUp(cosine, learning_rate=0.01, steps=100)
    >>> float(rate(0)), float(rate(100))
    (9.999999747378752e-05, 0.009999999776482582)
    """

    def __init__(self, schedule: Any, learning_rate: float, steps: int, start: float = 0.01):
        super().__init__()
        if steps < 1 or not 0 <= start <= 1:
            raise ValueError(
                "WarmUp takes at least 1 step and starts with a share between 0 and 1. "
                f"Received: steps={steps!r}, start={start!r}"
            )
        self.schedule, self.learning_rate = schedule, learning_rate
        self.steps, self.start = steps, start

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        share = self.start + (1 - self.start) * step / self.steps
        later = ops.cast(self.schedule(ops.maximum(step - self.steps, 0.0)), "float32")
        return ops.where(step > self.steps, later, share * self.learning_rate)

    def get_config(self) -> dict[str, Any]:
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        own = {"steps": self.steps, "start": self.start}
        return {"schedule": schedule, "learning_rate": self.learning_rate, **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(**{**config, "schedule": schedule})


def check_run_length(recipe: Recipe, steps_per_epoch: int, optimizer: Any = None) -> None:
    """Raises a `ValueError` if a training by a recipe, or by an optimizer too, trains nothing."""
    batches = steps_per_epoch * recipe.epochs
    length = f"{recipe.epochs} epochs of {steps_per_epoch} batches"
    for source in (recipe, optimizer):
        steps = getattr(source, "gradient_accumulation_steps", None)
        if steps is not None and steps > batches:
            raise ValueError(
                f"The gradients of {steps} batches make one step, and a training of {length} has "
                f"{batches}: it would change no weight. Use gradient_accumulation_steps={batches} "
                "or fewer (--accumulate), smaller batches or more epochs."
            )
    if recipe.warmup_steps(steps_per_epoch) >= batches:
        raise ValueError(
            f"The warm-up takes {recipe.warmup_epochs:g} epochs, all of a training of {length}, so "
            "that the learning rate would never be reached. Train for longer, or lower "
            "`warmup_epochs` (--warmup)."
        )
    share, text = _slow_averages(recipe, batches)
    if share > MAX_SHARE:
        raise ValueError(f"{text} It would be evaluated and saved in place of what was trained.")


def warn_of_run_length(recipe: Recipe, steps_per_epoch: int) -> None:
    """Warns of what a training is barely long enough for."""
    batches = steps_per_epoch * recipe.epochs
    rest = batches % (recipe.gradient_accumulation_steps or 1)
    if rest > NOTED_REST * batches:
        logger.warning(
            f"The gradients of the last {rest} of {batches} batches are never applied: "
            f"{recipe.gradient_accumulation_steps} make one step. Use a number that divides "
            f"{batches} (gradient_accumulation_steps, --accumulate)."
        )
    if isinstance(recipe.schedule, StepDecay) and recipe.schedule.epochs[0] >= recipe.epochs:
        logger.warning(
            "The learning rate is never lowered: the schedule does so at epoch "
            f"{recipe.schedule.epochs[0]:g}, and the training has {recipe.epochs}. Use "
            "ProportionalStepDecay for trainings of any length."
        )
    share, text = _slow_averages(recipe, batches)
    if share > NOTED_SHARE:
        logger.warning(text)


def _slow_averages(recipe: Recipe, batches: int) -> tuple[float, str]:
    """The share of the first weights in their average at the end, and what to say of it."""
    momentum = recipe.ema_momentum or 0.0
    share = momentum**batches
    return share, (
        f"After the {batches} batches of this training, an average of momentum {momentum:g} still "
        f"has {100 * share:.0f} % of the weights that it starts with. Use "
        "recipe.with_averages(steps_per_epoch) (--ema without a number) or a lower momentum."
    )
