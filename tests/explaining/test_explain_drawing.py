"""Colours and scales of explanations."""

import numpy as np
import pytest

from keras_tdn.explaining.maps import Scale, overlay, scale_of, smoothed


def lightness(colors):
    """CIE L* of sRGB colours."""
    linear = np.where(colors / 255 <= 0.04045, colors / 255 / 12.92,
                      ((colors / 255 + 0.055) / 1.055) ** 2.4)  # fmt: skip
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


def test_more_is_lighter_in_even_steps():
    scale = Scale(0.0, 1.0, "", "sequential")
    steps = np.diff(lightness(scale.colors(np.linspace(0, 1, 21))))
    # From black on the steps are smaller: there the eye tells apart what L* does not.
    assert steps.min() > 1.5
    assert steps.max() < 8


def test_zero_is_the_lightest_of_a_signed_scale():
    scale = scale_of(np.array([-0.2, 0.1]), "gate", "diverging")
    assert (scale.low, scale.high) == (-0.2, 0.2)
    light = lightness(scale.colors(np.linspace(-0.2, 0.2, 21)))
    assert light.argmax() == 10
    assert (np.diff(light[:11]) > 0).all()
    assert (np.diff(light[10:]) < 0).all()
    # Both sides alike, so that neither looks stronger.
    np.testing.assert_allclose(light, light[::-1], atol=8)
    red, _, blue = scale.colors(np.array(0.2)).astype(int)
    assert red > blue


def test_no_difference_is_grey():
    values = np.zeros((4, 3))
    values[1] = (50, -50, 0)
    values[2] = -1000
    scale = Scale(-50.0, 50.0, "", "color")
    colors = scale.colors(values)
    assert colors[0].tolist() == [128, 128, 128]
    assert colors[1].tolist() == [255, 1, 128]
    assert colors[2].tolist() == [1, 1, 1]
    assert scale.marks == ("-50", "0", "+50")


@pytest.mark.parametrize(("most", "end"), [(0.017, 0.02), (47.0, 50.0), (1.0, 1.0), (0.0, 1.0)])
def test_scales_end_at_round_numbers(most, end):
    values = np.full(1000, most)
    # Single values do not count.
    values[0] *= 3
    assert scale_of(values, "", "sequential").high == pytest.approx(end)
    assert scale_of(-values, "", "color").low == pytest.approx(-end)


def test_a_limit_of_a_scale():
    assert scale_of(np.full(10, 0.6), "", "diverging", limit=0.5).high == 0.5


def test_overlay_keeps_what_is_not_marked():
    pictures = np.full((1, 2, 2, 3), 100, np.uint8)
    maps = np.array([[[0.0, 0.0], [0.0, 1.0]]])
    mixed = overlay(pictures, maps, Scale(0.0, 1.0, "", "sequential"))
    assert (mixed[0, 0] == 75).all()
    red, _, blue = mixed[0, 1, 1].astype(int)
    assert red > 200 > blue
    # In the colours of the legend, wherever it ends.
    np.testing.assert_array_equal(
        mixed, overlay(pictures, 3 * maps, Scale(0.0, 3.0, "", "sequential"))
    )


def test_smoothing():
    # Halfway between the centres it is half.
    smooth = smoothed(np.array([[[0.0, 1.0]]]), 1, 4)[0, 0]
    assert smooth.tolist() == [0.0, 0.25, 0.75, 1.0]
