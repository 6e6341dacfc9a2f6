"""What is asked of a model before it is fed; each caller's own tests see the messages too."""

import keras
import numpy as np
import pytest

import keras_tdn
from keras_tdn.models.predicting import (
    check_gives_scores,
    check_takes_clips,
    clip_spec_of,
    model_inputs,
)

SPEC = keras_tdn.ClipSpec(2, 3, 32, 48, 32)


@pytest.fixture
def other():
    """A model of somebody else, for clips of its own size."""
    clips = keras.Input((6, 32, 32, 3))
    return keras.Model(clips, keras.layers.GlobalAveragePooling3D()(clips), name="other")


def test_the_caller_says_first(other):
    with pytest.raises(ValueError, match=r"'other' does not say how its clips are cut.* TDN model"):
        clip_spec_of(other)
    with pytest.raises(ValueError, match="Received: 8"):
        clip_spec_of(other, 8)
    assert clip_spec_of(other, SPEC) is SPEC
    other.clip_spec = SPEC
    assert clip_spec_of(other) is SPEC
    assert clip_spec_of(other, keras_tdn.ClipSpec()) == keras_tdn.ClipSpec()


def test_shapes(other):
    with pytest.raises(ValueError, match=r"\(6, 32, 32, 3\).* \(6, 32, 48, 3\)\. Do it so\."):
        check_takes_clips(other, SPEC, "Do it so.")
    check_takes_clips(other, keras_tdn.ClipSpec(2, 3, 32, 32, 32), "")
    check_takes_clips(keras.Sequential(), SPEC, "")
    images = keras.Input((32, 48, 3))
    with pytest.raises(ValueError, match=r"takes clips of shape \(32, 48, 3\)"):
        check_takes_clips(keras.Model(images, images), SPEC, "")


def test_scores(other):
    check_gives_scores(other)
    other.include_top = False
    with pytest.raises(ValueError, match="features, not scores"):
        check_gives_scores(other)


def test_pixels(other):
    clips = np.full((1, 1, 1, 1, 3), 255, np.uint8)
    assert model_inputs(other, clips, SPEC) is clips
    other.include_preprocessing = False
    expected = [(1 - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    np.testing.assert_allclose(model_inputs(other, clips, SPEC).ravel(), expected, rtol=1e-6)
