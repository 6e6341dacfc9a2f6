"""What the command offers is what the package has."""

import keras_tdn
from keras_tdn import choices
from keras_tdn.data.records import load
from keras_tdn.training.recipes import RECIPES


def test_formats_of_lists():
    known = {*load.TEXT_FORMATS, *load.TABLE_FORMATS, "hmdb51", "folders"}
    assert set(choices.RECORD_FORMATS) == known


def test_recipes():
    assert set(choices.RECIPES) == set(RECIPES)
    assert all(getattr(keras_tdn.training.recipes, name).name == name for name in RECIPES)


def test_the_demo_trains_as_its_recipe_says():
    assert RECIPES["motion"].epochs == choices.DEMO_EPOCHS
