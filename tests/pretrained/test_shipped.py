"""The preset that comes with the package."""

import keras
import numpy as np
import pytest

import keras_tdn
from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, motion_model, render_motion
from keras_tdn.pretrained import load_preset, verify_preset
from keras_tdn.pretrained.catalog import SHIPPED, SHIPPED_FOLDER

# Of no seed that the preset was trained or measured with.
FRESH_SEED = 4242
MAX_MEGABYTES = 3


@pytest.fixture(scope="module")
def model():
    return load_preset("motion")


@pytest.mark.parametrize("name", SHIPPED)
def test_verifies_and_is_small(name):
    report = verify_preset(name)
    assert report.passed, report
    size = sum(file.stat().st_size for file in (SHIPPED_FOLDER / name).iterdir())
    assert size < MAX_MEGABYTES * 1e6


@pytest.mark.parametrize("label", range(len(MOTION_LABELS)), ids=MOTION_LABELS)
def test_names_the_motion_of_a_fresh_video(model, label):
    frames = render_motion(label, MotionConfig(), seed=(FRESH_SEED, label))
    [prediction] = keras_tdn.predict_video(model, frames, top=1)
    assert prediction.label == MOTION_LABELS[label]
    assert prediction.score > 0.5


def test_a_mirrored_video_is_of_the_mirrored_class(model):
    frames = render_motion(MOTION_LABELS.index("moving left"), MotionConfig(), seed=(FRESH_SEED,))
    [prediction] = keras_tdn.predict_video(model, frames[:, :, ::-1], top=1)
    assert prediction.label == "moving right"


def test_is_the_weights_of_the_compact_model(model):
    built = motion_model(weights="motion")
    clip = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:]), np.uint8)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(clip)) for m in (built, model)))


def test_a_new_head_for_other_classes():
    with pytest.warns(UserWarning, match="classifier"):
        model = motion_model(weights="motion", classes=3, labels=("a", "b", "c"))
    assert model.output_shape == (None, 3)
