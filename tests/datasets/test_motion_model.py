import keras
import numpy as np
import pytest

from keras_tdn import ClipSpec
from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, motion_model
from keras_tdn.training import recipes


def test_the_compact_model():
    model = motion_model()
    assert model.labels == MOTION_LABELS
    assert model.input_shape == (None, 20, 56, 56, 3)
    assert model.output_shape == (None, 12)
    assert model.count_params() == 538154
    assert model.clip_spec == ClipSpec(4, 5, 56, 56, 64)
    scores = keras.ops.convert_to_numpy(model(np.zeros((1, 20, 56, 56, 3), np.uint8)))
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_recipe_model_and_videos_fit_each_other():
    model, recipe = motion_model(), recipes.motion
    spec = model.clip_spec
    assert spec.short_side == MotionConfig().size
    assert (recipe.num_segments, recipe.crop_size) == (spec.num_segments, spec.height)
    assert recipe.dropout_rate == model.dropout_rate


@pytest.mark.parametrize("module", ["short_term", "long_term", "temporal_shift"])
def test_each_module_is_a_switch(module):
    model = motion_model(**{module: False})
    modules = ("short_term", "long_term", "temporal_shift")
    assert [name for name in modules if not getattr(model, name)] == [module]


def test_further_arguments_are_those_of_tdn_resnet():
    model = motion_model(
        num_segments=2, frames_per_segment=3, width=8, classes=3, labels=list("abc")
    )
    assert model.input_shape == (None, 6, 56, 56, 3)
    assert (model.width, model.labels) == (8, ("a", "b", "c"))
    assert motion_model(input_shape=(20, 64, 64, 3)).clip_spec.short_side == 73
