import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data.transforms import (
    ColorJitter,
    Compose,
    MultiScaleCrop,
    RandomErasing,
    RandomHorizontalFlip,
    ResizeAndCenterCrop,
    test_transforms,
    train_transforms,
)
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec(height=32, width=40, short_side=40)

# Functions named test_ would be collected as tests.
validation_transforms = test_transforms
del test_transforms


def recorder(seeds):
    def transform(inputs, seed):
        seeds.append(tuple(seed.numpy()))
        return inputs

    return transform


def test_seeds_depend_on_position_alone(clip):
    short, long, other = [], [], []
    Compose((recorder(short),) * 2)(clip, (1, 2))
    Compose((recorder(long),) * 3)(clip, (1, 2))
    Compose((recorder(other),) * 3)(clip, (1, 3))
    assert long[:2] == short
    assert len({*long, *other}) == 6


def test_appending_changes_no_earlier_draw(clip):
    first = train_transforms(SPEC)
    more = train_transforms(SPEC, then=(RandomErasing(probability=1.0, fill=0),))
    for index in range(5):
        result = more(clip, (index, 0)).numpy()
        kept = (result != 0).any(axis=-1)
        np.testing.assert_array_equal(result[kept], first(clip, (index, 0)).numpy()[kept])


@pytest.mark.parametrize("inputs", ["clip", "clip and label"])
def test_window_first_gives_the_same(inputs, clip):
    flip_map = [1, 0] if inputs == "clip and label" else None
    transform = train_transforms(SPEC, flip_map, then=(ColorJitter(),))
    assert transform.crops_first
    for index in range(5):
        seed = tf.constant((index, 9))
        top, left, height, width = transform.box(48, 64, seed).numpy()
        window = clip[:, top : top + height, left : left + width]
        if flip_map:
            expected, label = transform((clip, 1), seed)
            finished, finished_label = transform.finish((window, 1), seed)
            assert int(label) == int(finished_label)
        else:
            expected, finished = transform(clip, seed), transform.finish(window, seed)
        np.testing.assert_array_equal(finished, expected)


def test_in_graphs(apply, clip):
    transform = train_transforms(SPEC, [0, 2, 1])
    labels = set()
    seeds = [(index, 0) for index in range(8)]
    for result, label in apply(transform, (clip, np.int64(1)), *seeds):
        assert result.shape == (3, 32, 40, 3)
        labels.add(int(label))
    assert labels == {1, 2}


def test_validation_needs_no_seed(clip):
    transform = validation_transforms(SPEC)
    assert not transform.is_random
    assert not transform.crops_first
    expected = ResizeAndCenterCrop(32, 40, 40)(clip)
    np.testing.assert_array_equal(transform(clip), expected)
    np.testing.assert_array_equal(transform((clip, 3))[0], expected)
    assert train_transforms(SPEC).is_random


def test_presets_are_the_papers():
    flip_map = [0, 2, 1]
    expected = (MultiScaleCrop(32, 40), RandomHorizontalFlip(flip_map))
    assert train_transforms(SPEC, flip_map).transforms == expected
    assert train_transforms(SPEC, flip=False).transforms == expected[:1]


def test_nesting_and_the_empty_one(clip):
    nested = Compose((Compose((MultiScaleCrop(32, 40),)), RandomHorizontalFlip()))
    assert not nested.crops_first
    assert nested(clip, (1, 1)).shape == (3, 32, 40, 3)
    np.testing.assert_array_equal(Compose(())(clip), clip)


def test_error_arguments():
    with pytest.raises(ValueError, match=r"sequence of transforms.*Received: transforms=3"):
        Compose(3)
    with pytest.raises(ValueError, match=r"Received: transforms=\('flip',\)"):
        Compose(("flip",))
    with pytest.raises(ValueError, match=r"Pass one of them. Received both"):
        train_transforms(SPEC, [0, 1], flip=False)


def test_error_no_window(clip):
    with pytest.raises(
        ValueError, match=r"begins with a random crop.*begins with: ResizeAndCenter"
    ):
        validation_transforms(SPEC).box(48, 64, (0, 0))
    with pytest.raises(ValueError, match="begins with: no transform"):
        Compose(()).finish(clip, (0, 0))
