"""Trainings that are too short for what their recipe does: none trains nothing in silence."""

import dataclasses
from types import SimpleNamespace

import keras
import pytest

from keras_tdn.training import recipes
from keras_tdn.training.schedules import check_run_length, warn_of_run_length

# 18 batches in all.
STEPS, EPOCHS = 6, 3
RECIPE = dataclasses.replace(recipes.motion, epochs=EPOCHS, warmup_epochs=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"gradient_accumulation_steps": 50},
            "gradients of 50 batches make one step, and a training of 3 epochs of 6 batches has "
            "18: it would change no weight",
        ),
        ({"gradient_accumulation_steps": 19}, "gradient_accumulation_steps=18"),
        ({"ema_momentum": 0.999}, "After the 18 batches of this training, an average of momentum "
         "0.999 still has 98 % of the weights that it starts with"),
        # Rounds to the whole of it.
        ({"warmup_epochs": 2.95}, "The warm-up takes 2.95 epochs, all of a training of 3 epochs"),
    ],
)  # fmt: skip
def test_a_training_that_would_train_nothing_is_refused(changes, message):
    recipe = dataclasses.replace(RECIPE, **changes)
    with pytest.raises(ValueError, match=message):
        check_run_length(recipe, STEPS)
    # Also in plain `fit`, before anything of the model is changed.
    with pytest.raises(ValueError, match=message):
        recipe.compile(SimpleNamespace(), STEPS)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gradient_accumulation_steps": 18},
        {"gradient_accumulation_steps": 6},
        {"warmup_epochs": 2.5},
        {"ema_momentum": 0.8},
        {"schedule": recipes.finetune_small.schedule},
    ],
)
def test_what_fits(changes, caplog):
    recipe = dataclasses.replace(RECIPE, **changes)
    check_run_length(recipe, STEPS)
    warn_of_run_length(recipe, STEPS)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient_accumulation_steps": 10}, "The gradients of the last 8 of 18 batches are never "
         "applied: 10 make one step. Use a number that divides 18"),
        ({"schedule": recipes.something_something.schedule}, "The learning rate is never lowered: "
         "the schedule does so at epoch 30, and the training has 3."),
        ({"ema_momentum": 0.93}, "momentum 0.93 still has 27 % of the weights"),
    ],
)  # fmt: skip
def test_what_barely_fits_leaves_a_warning(changes, message, caplog):
    recipe = dataclasses.replace(RECIPE, **changes)
    check_run_length(recipe, STEPS)
    warn_of_run_length(recipe, STEPS)
    assert message in caplog.text


def test_so_many_steps_change_weights_or_do_not():
    """What the check goes by: Keras applies the sum of gradients after each so many batches."""
    for accumulated, changed in ((18, True), (19, False)):
        variable = keras.Variable([1.0])
        recipe = dataclasses.replace(RECIPE, gradient_accumulation_steps=accumulated)
        optimizer = recipe.optimizer(STEPS)
        for _ in range(STEPS * EPOCHS):
            optimizer.apply([keras.ops.ones(1)], [variable])
        assert bool(keras.ops.convert_to_numpy(variable)[0] != 1.0) is changed
    with pytest.raises(ValueError, match="change no weight"):
        check_run_length(RECIPE, STEPS, optimizer)
