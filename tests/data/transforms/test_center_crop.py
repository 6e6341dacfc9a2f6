import goldens
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from keras_tdn.data import frame_transforms
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.transforms import (
    CenterCrop,
    Compose,
    OneCrop,
    ResizeAndCenterCrop,
    ResizeShortSide,
)
from keras_tdn.data.transforms.resizing import center_offset, resized_size
from keras_tdn.specs import ClipSpec


@tf.function
def graph_sizes(height, width, short_side, crop_height, crop_width):
    return resized_size(height, width, short_side, crop_height, crop_width)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_size_is_that_of_prediction(height, width, crop_height, crop_width):
    short_side = max(256, min(crop_height, crop_width))
    spec = ClipSpec(height=crop_height, width=crop_width, short_side=short_side)
    expected = frame_transforms._resized_size(height, width, spec)
    sizes = resized_size(
        tf.constant(height), tf.constant(width), short_side, crop_height, crop_width
    )
    assert tuple(int(size) for size in sizes) == expected


@given(st.integers(0, 5000), st.integers(1, 400))
@settings(max_examples=100, deadline=None)
def test_offset_is_that_of_prediction(size, crop):
    offset = int(center_offset(tf.constant(size), crop))
    assert offset == frame_transforms._center_offset(size, crop)


@pytest.mark.parametrize("name", ["arid_walk", "bikes"])
def test_agrees_with_pillow_and_with_prediction(name, apply):
    golden = goldens.arrays("pil_resize.npz")
    frames = golden[f"{name}/input"][None]
    crop = apply(ResizeAndCenterCrop(), frames).astype(int)
    difference = np.abs(crop[0] - golden[f"{name}/short_side_256_center_224"])
    assert difference.mean() < 0.5
    assert difference.max() <= 2
    eager = resize_and_center_crop(frames, ClipSpec())
    assert np.abs(crop - eager).max() <= 1
    np.testing.assert_array_equal(OneCrop()(frames)[0], crop)


@pytest.mark.parametrize(
    ("size", "spec"),
    [
        ((48, 64), ClipSpec(height=28, width=28, short_side=32)),
        ((64, 48), ClipSpec(height=28, width=20, short_side=32)),
        ((40, 61), ClipSpec(height=32, width=30, short_side=40)),
        ((20, 30), ClipSpec(height=56, width=56, short_side=64)),
        ((64, 36), ClipSpec(height=32, width=90, short_side=36)),
        ((33, 33), ClipSpec(height=33, width=33, short_side=33)),
    ],
)
def test_agrees_with_prediction(size, spec, apply, make_pictures):
    frames = make_pictures(2, *size)
    crop = apply(ResizeAndCenterCrop.from_spec(spec), frames).astype(int)
    assert np.abs(crop - resize_and_center_crop(frames, spec)).max() <= 1


def test_two_steps_are_the_one(clip):
    steps = Compose((ResizeShortSide(40), CenterCrop(32, 36)))
    at_once = ResizeAndCenterCrop(32, 36, 40)(clip).numpy().astype(int)
    assert np.abs(steps(clip).numpy() - at_once).max() <= 1


@pytest.mark.parametrize(("size", "expected"), [((48, 64), (32, 42)), ((64, 48), (42, 32))])
def test_short_side(size, expected, apply, make_pictures):
    assert apply(ResizeShortSide(32), make_pictures(1, *size)).shape == (1, *expected, 3)


def test_without_a_resize_nothing_is_resampled(make_pictures):
    frames = make_pictures(2, 40, 61)
    crop = ResizeAndCenterCrop(32, 30, 40)(frames)
    # (61 - 30) / 2 = 15.5 goes to the even 16.
    np.testing.assert_array_equal(crop, frames[:, 4:36, 16:46])
    np.testing.assert_array_equal(CenterCrop(32, 30)(frames), frames[:, 4:36, 16:46])
    np.testing.assert_array_equal(ResizeShortSide(40)(frames), frames)


def test_very_long_frames_cost_no_memory():
    # Enlarged whole, this frame would take 26 million pixels.
    frames = np.full((1, 1, 100_000, 3), 99, np.uint8)
    assert (ResizeAndCenterCrop()(frames).numpy() == 99).all()


def test_error_too_small(clip):
    message = "CenterCrop cuts 60x60 pixels .* resize them first.*Received frames of 48x64"
    with pytest.raises(ValueError, match=message):
        CenterCrop(60, 60)(clip)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ResizeShortSide(0), "short_side"),
        (lambda: CenterCrop(height=-1), "height"),
        (lambda: ResizeAndCenterCrop(width=True), "width"),
        (lambda: OneCrop(short_side=None), "short_side"),
    ],
)
def test_error_arguments(make, field):
    with pytest.raises(ValueError, match=f"positive integer for `{field}`. Received: {field}="):
        make()
