import pytest

from keras_tdn.datasets.motion import MOTION_LABELS
from keras_tdn.demo import DemoSettings

CLASSES = len(MOTION_LABELS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "an integer of at least 1 for `epochs`. Received: epochs=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"seed": -1}, "an integer of at least 0 for `seed`. Received: seed=-1"),
        ({"seed": True}, "seed=True"),
        (
            {"num_train": CLASSES},
            f"a multiple of {CLASSES}, .* of at least {2 * CLASSES} for `num_train`",
        ),
        ({"num_train": 10 * CLASSES + 1}, f"Received: num_train={10 * CLASSES + 1}"),
        ({"num_validation": 0}, f"of at least {CLASSES} for `num_validation`"),
    ],
)
def test_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        DemoSettings(**arguments)


@pytest.mark.parametrize("epochs", [1, 3, 8, 40])
def test_the_recipe_is_that_of_the_data_set_for_so_many_epochs(epochs):
    from keras_tdn.training.recipes import motion

    recipe = DemoSettings(epochs=epochs).recipe
    assert recipe.epochs == epochs
    assert recipe.learning_rate == motion.learning_rate
    # A warm-up may not be the whole training.
    assert recipe.warmup_epochs == min(motion.warmup_epochs, epochs / 4)
    assert DemoSettings().recipe == motion
