import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data.transforms import RandAugment
from keras_tdn.data.transforms.random_pixels import OPERATIONS


def run(name, clip, level=0.5, sign=1.0, fill=128):
    return OPERATIONS[name](tf.constant(clip), tf.constant(sign * level), fill).numpy()


def test_the_set_of_the_paper():
    assert len(OPERATIONS) == 14
    assert RandAugment().operations == tuple(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_in_graphs(name, apply, clip):
    transform = RandAugment(num_operations=1, operations=(name,))
    clip = clip // 2 + 20
    for result in apply(transform, clip, (0, 0), (1, 0), (2, 0)):
        assert result.shape == clip.shape
        assert (result == clip).all() == (name == "identity")


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"auto_contrast", "equalize"}))
def test_level_zero_changes_nothing(name, clip):
    np.testing.assert_array_equal(run(name, clip, level=0.0), clip)


@pytest.mark.parametrize("name", ["auto_contrast", "equalize"])
def test_one_level_stays_as_it_is(name):
    flat = np.full((2, 5, 6, 3), 77, np.uint8)
    np.testing.assert_array_equal(run(name, flat), flat)


def test_auto_contrast_by_hand():
    clip = np.full((2, 4, 4, 3), 100, np.uint8)
    clip[0, 0, 0], clip[1, 0, 0] = 50, 150
    result = run("auto_contrast", clip)
    assert result[0, 0, 0, 0] == 0
    assert result[1, 0, 0, 0] == 255
    # The extremes lie in different frames: they are the clip's, or frames would flicker.
    assert result[0, 1, 1, 0] == result[1, 1, 1, 0] == 128


def test_equalize_against_an_independent_count(clip):
    expected = np.empty_like(clip)
    for channel in range(3):
        values = clip[..., channel]
        counts = np.bincount(values.ravel(), minlength=256)
        step = (values.size - counts[np.flatnonzero(counts)[-1]]) // 255
        table = [min(255, (step // 2 + counts[:level].sum()) // step) for level in range(256)]
        expected[..., channel] = np.array(table)[values]
    np.testing.assert_array_equal(run("equalize", clip), expected)


def test_posterize_and_solarize_by_hand():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    np.testing.assert_array_equal(run("posterize", levels, 1.0), levels & 0xF0)
    np.testing.assert_array_equal(run("posterize", levels, 0.5), levels & 0xFC)
    expected = np.where(levels >= 128, 255 - levels, levels)
    np.testing.assert_array_equal(run("solarize", levels, 0.5), expected)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_blends_against_numpy(sign, clip):
    factor = 1 + 0.45 * sign
    pixels = clip.astype(np.float64)
    grey = pixels @ [0.299, 0.587, 0.114]
    ends = {"brightness": 0.0, "contrast": grey.mean(), "color": grey[..., None]}
    for name, end in ends.items():
        expected = np.clip(np.rint(end + factor * (pixels - end)), 0, 255)
        assert np.abs(run(name, clip, 0.5, sign) - expected).max() <= 1, name


def test_sharpness_by_hand():
    clip = np.zeros((1, 5, 5, 3), np.uint8)
    clip[0, 2, 2] = 130
    # The blur takes 5/13 of the centre: 50; half of 0.9 away from it: 130 + .45 * 80.
    assert run("sharpness", clip, 0.5, 1.0)[0, 2, 2, 0] == 166
    assert run("sharpness", clip, 0.5, -1.0)[0, 2, 2, 0] == 94
    assert run("sharpness", clip, 0.5, -1.0)[0, 1, 1, 0] == round(0.45 * 10)


def test_moves_by_hand():
    clip = np.arange(40, dtype=np.uint8).reshape(1, 1, 40, 1) * np.ones((1, 20, 1, 3), np.uint8)
    # 0.45 of 40 columns.
    right = run("translate_x", clip, 1.0, -1.0, fill=200)
    np.testing.assert_array_equal(right[:, :, 18:], clip[:, :, :22])
    assert (right[:, :, :18] == 200).all()
    left = run("translate_x", clip, 1.0, 1.0, fill=200)
    np.testing.assert_array_equal(left[:, :, :22], clip[:, :, 18:])
    down = run("translate_y", clip, 1.0, -1.0, fill=200)
    assert (down[:, :9] == 200).all()
    np.testing.assert_array_equal(down[:, 9:], clip[:, :11])


def test_shear_and_rotation_keep_the_centre():
    clip = np.zeros((1, 21, 21, 3), np.uint8)
    clip[0, 10, 10] = 250
    for name in ("shear_x", "shear_y", "rotate"):
        assert run(name, clip, 1.0, 1.0)[0, 10, 10, 0] == 250, name
    line = np.zeros((1, 21, 21, 3), np.uint8)
    line[0, :, 10] = 250
    for name, top in (("shear_x", 3.0), ("rotate", 10 * np.tan(np.pi / 6))):
        rows = [run(name, line, 1.0, sign, 0)[0, 2:4, :, 0].mean(0) for sign in (1.0, -1.0)]
        columns = [row.argmax() for row in rows]
        # Rows 2 and 3 are 7.5 of the 10 rows between the centre and the edge away.
        offset = 0.75 * top
        assert sorted(columns) == pytest.approx([10 - offset, 10 + offset], abs=1), name


def test_operations_follow_one_another(clip):
    transform = RandAugment(num_operations=2, magnitude=10, operations=("posterize",))
    np.testing.assert_array_equal(transform(clip, (0, 0)), clip & 0xF0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_operations": 0}, "positive integer for `num_operations`"),
        ({"magnitude": 11}, "from 0 to 10 for `magnitude`. Received: magnitude=11"),
        ({"fill": 256}, "from 0 to 255 for `fill`"),
        ({"operations": ("blur",)}, r"draws `operations` from .*Received: operations=\('blur',\)"),
        ({"operations": ()}, r"Received: operations=\(\)"),
        ({"operations": "rotate"}, "Received: operations='rotate'"),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**arguments)
