"""What holds for every transform of a clip."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data import transforms
from keras_tdn.data.transforms import (
    CenterCrop,
    ClipTransform,
    ColorJitter,
    MultiScaleCrop,
    OneCrop,
    RandAugment,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ResizeAndCenterCrop,
    ResizeShortSide,
    TenCrops,
    ThreeCrops,
)

RANDOM = [
    MultiScaleCrop(32, 40),
    RandomResizedCrop(32, 40),
    RandomHorizontalFlip(),
    ColorJitter(),
    RandAugment(num_operations=3),
    RandomErasing(probability=1.0),
    RandomErasing(probability=0.5, fill=7),
]
FIXED = [
    ResizeShortSide(40),
    CenterCrop(32, 40),
    ResizeAndCenterCrop(32, 40, 40),
    OneCrop(32, 40, 40),
    ThreeCrops(40, 40, 40),
    TenCrops(32, 40, 40),
]


def name(transform):
    return type(transform).__name__


@pytest.mark.parametrize("transform", RANDOM + FIXED, ids=name)
def test_same_eagerly_and_in_graphs(transform, apply, clip):
    seeds = [(0, 1), (2**31 - 1, -5), (7, 7), (0, 0)]
    results = apply(transform, (clip, np.int64(5)), *seeds)
    for (result, label), seed in zip(results, seeds, strict=True):
        assert result.dtype == np.uint8
        assert result.shape[-1] == 3
        assert result.shape[-4] == len(clip)
        # The label passes, and without one the clip is the same.
        np.testing.assert_array_equal(result, transform(clip, seed))
        assert label == 5
        assert label.dtype == np.int64


@pytest.mark.parametrize("transform", RANDOM, ids=name)
def test_seed_decides_everything(transform, clip):
    results = [transform(clip, (3, index)).numpy() for index in range(12)]
    again = [transform(clip, (3, index)).numpy() for index in range(12)]
    for first, second in zip(results, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({result.tobytes() for result in results}) > 1


@pytest.mark.parametrize("transform", RANDOM + FIXED, ids=name)
def test_one_draw_for_all_frames(transform, still):
    for index in range(12):
        result = transform(still, (index, 1)).numpy()
        frames = np.moveaxis(result, -4, 0)
        assert (frames == frames[:1]).all(), f"seed {index}"


@pytest.mark.parametrize("transform", RANDOM + FIXED, ids=name)
def test_static_shape_is_known_where_it_can_be(transform, clip):
    signature = tf.TensorSpec((3, None, None, 3), tf.uint8)
    traced = tf.function(transform).get_concrete_function(signature, tf.TensorSpec((2,), tf.int32))
    shape = traced.structured_outputs.shape
    assert shape[-4] == 3
    assert shape[-1] == 3
    if hasattr(transform, "height"):
        assert shape[-3:-1] == (transform.height, transform.width)


@pytest.mark.parametrize("transform", RANDOM + FIXED, ids=name)
def test_frozen_hashable_and_rebuilt_from_its_repr(transform):
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.anything = 1
    rebuilt = eval(repr(transform), vars(transforms).copy())
    assert rebuilt == transform
    assert hash(rebuilt) == hash(transform)


def test_parallel_map_gives_the_same(clip):
    def example(index):
        return transform(clip, tf.stack([5, index]))

    transform = transforms.Compose(tuple(RANDOM))
    numbers = tf.data.Dataset.range(16).map(lambda index: tf.cast(index, tf.int32))
    alone = [result.numpy() for result in numbers.map(example)]
    parallel = [result.numpy() for result in numbers.map(example, num_parallel_calls=4)]
    np.testing.assert_array_equal(alone, parallel)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((40, 40, 3), np.uint8), r"\(frames, height, width, 3\), before batching"),
        (np.zeros((2, 8, 40, 40, 3), np.uint8), r"Received: shape=\(2, 8, 40, 40, 3\)"),
        (np.zeros((2, 40, 40, 1), np.uint8), r"Received: shape=\(2, 40, 40, 1\)"),
        (np.zeros((2, 40, 40, 3), np.float32), "uint8 pixels .* Received: dtype=float32"),
        ((1, 2, 3), "a tuple of 3"),
    ],
)
def test_error_not_a_clip(value, message):
    with pytest.raises(ValueError, match=message):
        ColorJitter()(value, (0, 1))


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (None, "ColorJitter draws at random and needs a seed: .* Received: seed=None"),
        (3, r"two integers, int32 of shape \(2,\). Received: shape=\(\)"),
        ((1.0, 2.0), "Received: shape=.*dtype=float32"),
    ],
)
def test_error_not_a_seed(seed, message, clip):
    with pytest.raises(ValueError, match=message):
        ColorJitter()(clip, seed)


def test_error_unknown_rank():
    with pytest.raises(ValueError, match=r"clip.set_shape\(\[None, None, None, 3\]\)"):
        tf.data.Dataset.from_generator(lambda: [], output_types=tf.uint8).map(
            lambda clip: ResizeShortSide()(clip)
        )


def test_transform_of_your_own(apply, clip):
    class Negative(ClipTransform):
        def transform_clip(self, clip, seed):
            return 255 - clip

    np.testing.assert_array_equal(apply(Negative(), clip), 255 - clip)
