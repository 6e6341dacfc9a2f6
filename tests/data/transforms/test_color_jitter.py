import colorsys

import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data.transforms import ColorJitter
from keras_tdn.data.transforms.random_pixels import hue_matrix, saturation_matrix
from keras_tdn.data.transforms.transform import draw_uniform

GREY = np.array([0.299, 0.587, 0.114])
NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def factor(position, strength, seed=(4, 2)):
    drawn = draw_uniform(tf.constant(seed), position, 1 - strength, 1 + strength)
    return float(drawn)


def rounded(values):
    return np.clip(np.rint(values), 0, 255)


def test_nothing_changes_nothing(clip):
    np.testing.assert_array_equal(ColorJitter(**NOTHING)(clip, (4, 2)), clip)


def test_brightness(apply, clip):
    result = apply(ColorJitter(**{**NOTHING, "brightness": 0.5}), clip, (4, 2))
    assert np.abs(result - rounded(factor(0, 0.5) * clip)).max() <= 1


def test_contrast_is_about_the_mean_grey_of_the_clip(apply, clip):
    result = apply(ColorJitter(**{**NOTHING, "contrast": 0.5}), clip, (4, 2))
    mean = (clip @ GREY).mean()
    assert np.abs(result - rounded(mean + factor(1, 0.5) * (clip - mean))).max() <= 1


def test_saturation(apply, clip):
    result = apply(ColorJitter(**{**NOTHING, "saturation": 0.5}), clip, (4, 2))
    grey = (clip @ GREY)[..., None]
    assert np.abs(result - rounded(grey + factor(2, 0.5) * (clip - grey))).max() <= 1


def test_all_together(apply, clip):
    result = apply(ColorJitter(0.2, 0.2, 0.2, 0.1), clip, (4, 2))
    brightness, contrast, saturation = (factor(position, 0.2) for position in range(3))
    turn = float(draw_uniform(tf.constant((4, 2)), 3, -0.1, 0.1))
    pixels = brightness * clip
    mean = (pixels @ GREY).mean()
    pixels = mean + contrast * (pixels - mean)
    grey = (pixels @ GREY)[..., None]
    pixels = grey + saturation * (pixels - grey)
    pixels = pixels @ hue_matrix(2 * np.pi * turn).numpy().T
    assert np.abs(result - rounded(pixels)).max() <= 1


def test_hue_keeps_greys_and_lightness_and_comes_round():
    for turn in np.linspace(0, 1, 9):
        matrix = hue_matrix(tf.constant(2 * np.pi * turn, tf.float32)).numpy()
        np.testing.assert_allclose(matrix @ np.ones(3), np.ones(3), atol=1e-6)
        np.testing.assert_allclose(GREY @ matrix, GREY, atol=2e-4)
    np.testing.assert_allclose(matrix, np.eye(3), atol=1e-5)
    half = hue_matrix(tf.constant(np.pi, tf.float32)).numpy()
    np.testing.assert_allclose(half @ half, np.eye(3), atol=1e-5)


def test_hue_turns_red_towards_green_as_hsv_does():
    red = hue_matrix(tf.constant(2 * np.pi / 3, tf.float32)).numpy() @ [1.0, 0.0, 0.0]
    back = hue_matrix(tf.constant(-2 * np.pi / 3, tf.float32)).numpy() @ [1.0, 0.0, 0.0]
    hues = [colorsys.rgb_to_hsv(*np.clip(color, 0, 1))[0] for color in (red, back)]
    # One direction gives greens and the other blues, whichever sign is which.
    assert min(hues) == pytest.approx(1 / 3, abs=0.15)
    assert max(hues) == pytest.approx(2 / 3, abs=0.15)


def test_saturation_of_nothing_is_grey():
    np.testing.assert_allclose(
        saturation_matrix(tf.constant(0.0)), np.tile(GREY, (3, 1)), rtol=1e-6
    )


@pytest.mark.parametrize("field", ["brightness", "contrast", "saturation"])
def test_error_factor(field):
    with pytest.raises(ValueError, match=f"from 0 to 1 for `{field}`. Received: {field}=1.5"):
        ColorJitter(**{field: 1.5})


def test_error_hue():
    with pytest.raises(ValueError, match=r"from 0 to 0.5 for `hue`. Received: hue=0.7"):
        ColorJitter(hue=0.7)
