import numpy as np
import pytest

from keras_tdn.data.transforms import RandomHorizontalFlip

MAP = np.array([1, 0, 2, 4, 3], np.int32)


def test_mirrors_half_of_the_clips(clip):
    transform = RandomHorizontalFlip()
    mirrored = 0
    for index in range(200):
        result = transform(clip, (index, 0)).numpy()
        if (result == clip).all():
            continue
        np.testing.assert_array_equal(result, clip[:, :, ::-1])
        mirrored += 1
    assert 70 < mirrored < 130


def test_label_follows_the_pixels(apply, clip):
    seeds = [(index, 0) for index in range(4)]
    for label in (0, 2, 4):
        inputs = clip, np.int64(label)
        results = apply(RandomHorizontalFlip(MAP), inputs, *seeds, unknown_sizes=False)
        for result, new_label in results:
            mirrored = not (result == clip).all()
            assert new_label == (MAP[label] if mirrored else label)
            assert new_label.dtype == np.int64


def test_weights_of_classes_follow(apply, clip):
    weights = np.array([0.1, 0.2, 0.3, 0.4, 0.0], np.float32)
    _, flipped = apply(RandomHorizontalFlip(MAP, probability=1.0), (clip, weights))
    np.testing.assert_array_equal(flipped, weights[[1, 0, 2, 4, 3]])


def test_never_and_always(clip):
    for index in range(20):
        never = RandomHorizontalFlip(probability=0.0)(clip, (index, 0))
        always = RandomHorizontalFlip(probability=1.0)(clip, (index, 0))
        np.testing.assert_array_equal(never, clip)
        np.testing.assert_array_equal(always, clip[:, :, ::-1])


def test_maps_compare_by_value():
    assert RandomHorizontalFlip(MAP) == RandomHorizontalFlip(MAP.tolist())


def test_error_needs_the_label(clip):
    with pytest.raises(ValueError, match=r"takes a tuple \(clip, label\). Received a clip alone"):
        RandomHorizontalFlip(MAP)(clip, (0, 0))


@pytest.mark.parametrize("label", [np.float32(1), np.zeros(4, np.float32), np.zeros((2, 5))])
def test_error_label(label, clip):
    with pytest.raises(ValueError, match=r"one weight per class, of shape \(5,\).*Received: label"):
        RandomHorizontalFlip(MAP)((clip, label), (0, 0))


@pytest.mark.parametrize(
    ("flip_map", "message"),
    [
        ([0, 2], "from 0 to classes - 1"),
        ([0.0, 1.0], "Received: shape=.*dtype=float64"),
        ([[0, 1]], r"Received: shape=\(1, 2\)"),
        ([], r"shape=\(0,\)"),
        ([1, 2, 0], "leads back .* sends class 0 to 1 and that to 2"),
    ],
)
def test_error_flip_map(flip_map, message):
    with pytest.raises(ValueError, match=message):
        RandomHorizontalFlip(flip_map)


def test_error_probability():
    with pytest.raises(ValueError, match=r"from 0 to 1 for `probability`. Received: probability=2"):
        RandomHorizontalFlip(probability=2)
