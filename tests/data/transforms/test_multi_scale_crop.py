import json
import re

import goldens
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from keras_tdn.data.transforms import MultiScaleCrop
from keras_tdn.specs import ClipSpec

GOLDEN = json.loads(goldens.path("sampling_and_crops.json").read_text())[
    "multi_scale_crops_w_h_x_y"
]


def parse(key):
    width, height, size = (int(number) for number in re.split("x|->", key))
    return width, height, size


def as_w_h_x_y(boxes):
    return {(w, h, x, y) for y, x, h, w in np.asarray(boxes).tolist()}


@pytest.mark.parametrize("key", GOLDEN)
def test_reaches_exactly_the_crops_of_the_reference(key):
    width, height, size = parse(key)
    expected = {tuple(crop) for crop in GOLDEN[key]}
    transform = MultiScaleCrop(size, size)
    assert as_w_h_x_y(transform.boxes(height, width)) == expected

    @tf.function
    def draw(count):
        seeds = tf.stack([tf.range(count), tf.fill([count], 3)], axis=1)
        return tf.map_fn(lambda seed: transform.box(height, width, seed), seeds)

    assert as_w_h_x_y(draw(2500)) == expected


def test_every_size_and_position_is_as_likely():
    # 10 pairs of sizes by 13 positions; the reference draws one of each.
    boxes = MultiScaleCrop().boxes(256, 340).numpy()
    assert boxes.shape == (130, 4)
    _, counts = np.unique(boxes[:, 2:], axis=0, return_counts=True)
    assert counts.tolist() == [13] * 10


def test_by_hand():
    # Side 100: scales 1 and .5; no room for the first, 50 pixels and steps of 12 for the second.
    boxes = MultiScaleCrop(20, 20, scales=(1.0, 0.5), max_distance=0).boxes(100, 100).numpy()
    assert (boxes[:13] == [0, 0, 100, 100]).all()
    assert set(boxes[13:, 2]) == {50}
    assert set(boxes[13:, 0]) == {0, 12, 24, 36, 48}


def test_near_sizes_become_the_input_size():
    # 226 and 222 are within two pixels of 224, 221 is not.
    for side, expected in [(226, 224), (222, 222), (227, 227)]:
        boxes = MultiScaleCrop(scales=(1.0,)).boxes(side, side + 50).numpy()
        assert set(boxes[:, 2]) == {expected}


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_boxes_lie_in_the_frame(height, width, out_height, out_width):
    top, left, box_height, box_width = (
        MultiScaleCrop(out_height, out_width).boxes(height, width).numpy().T
    )
    assert top.min() >= 0
    assert left.min() >= 0
    assert min(box_height.min(), box_width.min()) >= 1
    assert (top + box_height <= height).all()
    assert (left + box_width <= width).all()


@pytest.mark.parametrize("name", ["arid_walk", "bikes"])
@pytest.mark.parametrize("size", [224, 112])
def test_resize_agrees_with_pillow(name, size):
    golden = goldens.arrays("pil_resize.npz")
    left, top, right, bottom = golden[f"{name}/crop_x0_y0_x1_y1"]
    window = golden[f"{name}/input"][None, top:bottom, left:right]
    resized = MultiScaleCrop(size, size).resize(tf.constant(window)).numpy()[0]
    difference = np.abs(resized.astype(int) - golden[f"{name}/crop_resized_{size}"])
    # Pillow rounds after each of its two passes.
    assert difference.mean() < 0.5
    assert difference.max() <= 2


def test_enlarging_skips_nothing_but_time(clip):
    # The plain filter, used where both axes grow, is the antialiased one there.
    frames = tf.constant(clip)
    antialiased = tf.image.resize(frames, (96, 81), antialias=True).numpy()
    plain = MultiScaleCrop(96, 81).resize(frames).numpy()
    assert np.abs(plain - antialiased).max() < 0.502


def test_only_the_window_needs_decoding(make_pictures):
    jpeg = tf.io.encode_jpeg(make_pictures(1, 200, 300)[0], chroma_downsampling=False)
    transform = MultiScaleCrop(64, 64)
    for seed in [(1, 1), (2, 2), (3, 3)]:
        box = transform.box(*tf.unstack(tf.io.extract_jpeg_shape(jpeg)[:2]), seed)
        window = tf.image.decode_and_crop_jpeg(jpeg, box)[tf.newaxis]
        whole = tf.io.decode_jpeg(jpeg)[tf.newaxis]
        np.testing.assert_array_equal(transform.resize(window), transform(whole, seed))


def test_from_spec():
    spec = ClipSpec(height=112, width=96, short_side=128)
    assert MultiScaleCrop.from_spec(spec) == MultiScaleCrop(112, 96)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "positive integer for `height`. Received: height=0"),
        ({"width": 2.5}, "positive integer for `width`. Received: width=2.5"),
        ({"scales": ()}, r"fractions of the short side.*Received: scales=\(\)"),
        ({"scales": (1.2,)}, r"Received: scales=\(1.2,\)"),
        ({"scales": 0.5}, "Received: scales=0.5"),
        (
            {"max_distance": -1},
            "`max_distance` is an integer of at least 0. Received: max_distance=-1",
        ),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleCrop(**arguments)
