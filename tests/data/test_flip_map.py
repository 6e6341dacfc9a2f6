import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from keras_tdn.data.flip_maps import flip_map, flip_pairs
from keras_tdn.labels import DATASETS, load_labels

SOMETHING = ((86, 87), (93, 94), (166, 167))


@pytest.mark.parametrize("version", ["something_something_v1", "something_something_v2"])
def test_something_something(version):
    classes = flip_map(version)
    assert classes.dtype == np.int32
    assert classes.shape == (174,)
    assert flip_pairs(version) == SOMETHING
    changed = {int(index): int(classes[index]) for index in np.flatnonzero(classes != range(174))}
    assert changed == {86: 87, 87: 86, 93: 94, 94: 93, 166: 167, 167: 166}


@pytest.mark.parametrize("dataset", sorted({*DATASETS} - {*DATASETS[2:4]}))
def test_other_data_sets_have_no_sides(dataset):
    np.testing.assert_array_equal(flip_map(dataset), range(len(load_labels(dataset))))


def test_any_order_of_the_labels():
    # As the data set is published, unsorted: indices 2/4, 30/41 and 52/66 in one peer's list.
    names = list(load_labels("something_something_v1"))
    expected = {frozenset((names[first], names[second])) for first, second in SOMETHING}
    random.Random(5).shuffle(names)
    assert {frozenset((names[a], names[b])) for a, b in flip_pairs(names)} == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left", "right"),
        ("Left", "Right"),
        ("LEFT", "RIGHT"),
        ("swipe_left", "swipe_right"),
        ("SwipeLeft", "SwipeRight"),
        ("swipeLeft2", "swipeRight2"),
        ("leftHand up", "rightHand up"),
        ("left-handed", "right-handed"),
        ("moving leftward", "moving rightward"),
        ("moving Leftwards", "moving Rightwards"),
        ("the leftmost cup", "the rightmost cup"),
        ("from left to right", "from right to left"),
        ("Left turn", "right turn"),
        ("turn to the left, then right", "turn to the right, then left"),
    ],
)
def test_names_that_exchange(one, other):
    assert flip_map(["waving", one, other]).tolist() == [0, 2, 1]
    assert flip_map([other, "waving", one]).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("upleft", "upright"),
        ("copyleft", "copyright"),
        ("leftover", "rightover"),
        ("énleft", "énright"),
        ("turn left", "turning right"),
        ("left to left", "left to right"),
        ("clockwise", "counterclockwise"),
    ],
)
def test_names_that_do_not(one, other):
    assert flip_map([one, other]).tolist() == [0, 1]


def test_one_side_alone_stays():
    assert flip_map(["turn left", "waving"]).tolist() == [0, 1]


def test_exact_case_comes_first():
    assert flip_pairs(["Left", "right", "Right", "left"]) == ((0, 2), (1, 3))
    assert flip_pairs(["Left", "right", "Right"]) == ((0, 2),)


@given(
    st.lists(
        st.lists(
            st.sampled_from(["left", "right", "Left", "Right", "up", "upright"]), min_size=1
        ).map(" ".join),
        min_size=1,
        unique=True,
    )
)
def test_mirroring_twice_changes_nothing(names):
    classes = flip_map(names)
    np.testing.assert_array_equal(classes[classes], range(len(names)))
    assert flip_pairs(names) == tuple(
        (index, int(target)) for index, target in enumerate(classes) if index < target
    )


def test_in_a_graph():
    classes = flip_map("something_something_v2")
    labels = tf.data.Dataset.from_tensor_slices([5, 86, 167])
    flipped = labels.map(lambda label: tf.gather(classes, label))
    assert list(flipped.as_numpy_iterator()) == [5, 87, 166]


def test_override():
    names = ["turn left", "turn right", "clockwise", "counterclockwise", "wave"]
    identity = list(range(5))
    assert flip_map(names, override={}).tolist() == identity
    assert flip_map(names, override=[]).tolist() == identity
    assert flip_map(names, override={2: 3}).tolist() == [0, 1, 3, 2, 4]
    assert flip_map(names, override={"clockwise": "counterclockwise"}).tolist() == [0, 1, 3, 2, 4]
    added = [*flip_pairs(names), ("clockwise", 3)]
    assert flip_map(names, override=added).tolist() == [1, 0, 3, 2, 4]
    # Both directions of a pair, or a class with itself, say nothing new.
    assert flip_map(names, override={0: 1, 1: 0, 4: 4}).tolist() == [1, 0, 2, 3, 4]
    assert flip_map(names, override=np.array([[0, 1]])).tolist() == [1, 0, 2, 3, 4]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"jump": 0}, "there is no class of that name: 'jump'"),
        ({0: 3}, "classes have the indices 0 to 2: 3"),
        ({-1: 0}, "classes have the indices 0 to 2: -1"),
        ({1.5: 0}, "classes have the indices 0 to 2: 1.5"),
        ({True: 0}, "classes have the indices 0 to 2: True"),
        ([(0, 1), (1, 2)], r"has two for 'b' \(1\) or 'c' \(2\)"),
        ([(0, 0), (0, 2)], r"has two for 'a' \(0\) or 'c' \(2\)"),
        ([(0, 1, 2)], "a mapping or a list of pairs of classes"),
        (5, "a mapping or a list of pairs of classes"),
        (False, "a mapping or a list of pairs of classes"),
    ],
)
def test_override_errors(override, message):
    with pytest.raises(ValueError, match=message):
        flip_map(["a", "b", "c"], override=override)
