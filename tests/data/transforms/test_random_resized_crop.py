import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from keras_tdn.data.transforms import RandomResizedCrop
from keras_tdn.specs import ClipSpec


def draw(transform, height, width, count=2000):
    @tf.function
    def boxes():
        seeds = tf.stack([tf.range(count), tf.fill([count], 9)], axis=1)
        return tf.map_fn(lambda seed: transform.box(height, width, seed), seeds)

    return boxes().numpy()


def test_distribution():
    top, left, height, width = draw(RandomResizedCrop(area=(0.2, 0.4)), 400, 500).T
    area = height * width / (400 * 500)
    assert 0.195 < area.min() < 0.205
    assert 0.395 < area.max() < 0.405
    assert abs(area.mean() - 0.3) < 0.01
    logarithm = np.log(width / height)
    assert abs(logarithm.mean()) < 0.02
    assert abs(logarithm.max() - np.log(4 / 3)) < 0.02
    assert abs(logarithm.min() + np.log(4 / 3)) < 0.02
    # Uniform among all places, so that both extremes and the middle of the room occur.
    place = top / (400 - height)
    assert abs(place.mean() - 0.5) < 0.03
    assert place.min() < 0.01
    assert place.max() > 0.99
    assert (left + width <= 500).all()


def test_fallback_is_the_largest_allowed_centre():
    # Nothing with at least 3/4 of its height as width and 90 % of this frame's area fits.
    transform = RandomResizedCrop(area=(0.9, 1.0))
    assert draw(transform, 300, 100, 20).tolist() == [[(300 - 133) // 2, 0, 133, 100]] * 20
    assert draw(transform, 100, 300, 20).tolist() == [[0, (300 - 133) // 2, 100, 133]] * 20


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_boxes_lie_in_the_frame(height, width, seed):
    top, left, box_height, box_width = RandomResizedCrop().box(height, width, (seed, 0)).numpy()
    assert min(top, left) >= 0
    assert min(box_height, box_width) >= 1
    assert top + box_height <= height
    assert left + box_width <= width


def test_window_then_resize_is_the_transform(clip):
    transform = RandomResizedCrop(32, 40)
    top, left, height, width = transform.box(48, 64, (1, 2)).numpy()
    window = clip[:, top : top + height, left : left + width]
    np.testing.assert_array_equal(transform.resize(tf.constant(window)), transform(clip, (1, 2)))


def test_from_spec():
    spec = ClipSpec(height=112, width=96, short_side=128)
    expected = RandomResizedCrop(112, 96, area=(0.5, 1.0))
    assert RandomResizedCrop.from_spec(spec, area=(0.5, 1.0)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "positive integer for `height`"),
        ({"area": (0.5, 0.2)}, r"\(lowest, highest\).*`area`. Received: area=\(0.5, 0.2\)"),
        ({"area": (0.5, 1.2)}, "at most 1 for `area`"),
        ({"area": 0.5}, "Received: area=0.5"),
        ({"aspect_ratio": (0, 1)}, "above 0 .*`aspect_ratio`"),
        ({"aspect_ratio": (1, float("nan"))}, "`aspect_ratio`. Received"),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomResizedCrop(**arguments)
