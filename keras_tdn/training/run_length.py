"""What takes longer than the training that it belongs to, and would come to nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keras_tdn.training.schedules import StepDecay

if TYPE_CHECKING:
    from keras_tdn.training.recipe import Recipe

logger = logging.getLogger("keras_tdn")

# Share of the starting weights in their average at the end: with a warning, and at most.
NOTED_SHARE = 0.1
MAX_SHARE = 0.5
# Of the batches, at the end, whose gradients are never applied.
NOTED_REST = 0.1


def check_run_length(recipe: Recipe, steps_per_epoch: int) -> None:
    """Checks that a training is long enough for what its recipe does over many batches.

    Args:
        recipe: The recipe.
        steps_per_epoch: Batches in an epoch.

    Raises:
        ValueError: if no step of the optimizer would be made, the learning rate would never be
            reached, or the averages would be mostly of the first weights.
    """
    batches = steps_per_epoch * recipe.epochs
    length = f"{recipe.epochs} epochs of {steps_per_epoch} batches"
    check_accumulation(recipe.gradient_accumulation_steps, batches, length)
    if recipe.warmup_steps(steps_per_epoch) >= batches:
        raise ValueError(
            f"The warm-up takes {recipe.warmup_epochs:g} epochs, all of a training of {length}, so "
            "that the learning rate would never be reached. Train for longer, or lower "
            "`warmup_epochs` (--warmup)."
        )
    if _share_of_first_weights(recipe, batches) > MAX_SHARE:
        raise ValueError(
            f"{_slow_averages(recipe, batches)} It would be evaluated and saved in place of what "
            "was trained."
        )


def check_accumulation(steps: int | None, batches: int, length: str) -> None:
    """Raises a `ValueError` if so few batches make no step of an optimizer that accumulates."""
    if steps is not None and steps > batches:
        raise ValueError(
            f"The gradients of {steps} batches make one step, and a training of {length} has "
            f"{batches}: it would change no weight. Use gradient_accumulation_steps={batches} or "
            "fewer (--accumulate), smaller batches or more epochs."
        )


def warn_of_run_length(recipe: Recipe, steps_per_epoch: int) -> None:
    """Warns of what a training is barely long enough for."""
    batches = steps_per_epoch * recipe.epochs
    rest = batches % (recipe.gradient_accumulation_steps or 1)
    if rest > NOTED_REST * batches:
        logger.warning(
            "The gradients of the last %d of %d batches are never applied: %d make one step. Use a "
            "number that divides %d (gradient_accumulation_steps, --accumulate).",
            rest,
            batches,
            recipe.gradient_accumulation_steps,
            batches,
        )
    if isinstance(recipe.schedule, StepDecay) and recipe.schedule.epochs[0] >= recipe.epochs:
        logger.warning(
            "The learning rate is never lowered: the schedule does so at epoch %g, and the "
            "training has %d. Use ProportionalStepDecay for trainings of any length.",
            recipe.schedule.epochs[0],
            recipe.epochs,
        )
    if _share_of_first_weights(recipe, batches) > NOTED_SHARE:
        logger.warning("%s", _slow_averages(recipe, batches))


def _share_of_first_weights(recipe: Recipe, batches: int) -> float:
    return 0.0 if recipe.ema_momentum is None else recipe.ema_momentum**batches


def _slow_averages(recipe: Recipe, batches: int) -> str:
    return (
        f"After the {batches} batches of this training, an average of momentum "
        f"{recipe.ema_momentum:g} still has {100 * _share_of_first_weights(recipe, batches):.0f} % "
        "of the weights that it starts with. Use recipe.with_averages(steps_per_epoch) (--ema "
        "without a number) or a lower momentum."
    )
