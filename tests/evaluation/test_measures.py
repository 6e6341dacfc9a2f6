import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_tdn.evaluation.comparison import mcnemar_exact
from keras_tdn.evaluation.metrics import (
    calibration,
    confusion_matrix,
    cross_entropy,
    mean_class_accuracy,
    ranks_of_truth,
    wilson_interval,
)


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.0, 0.5], [0.5, 0.0, 0.5], [0.2, 0.3, 0.5]])
    labels = np.array([1, 0, 2, 0])
    # Equal scores are in the order of the classes.
    assert ranks_of_truth(scores, labels).tolist() == [0, 0, 1, 2]


def test_confusion_and_class_accuracy_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 0, 3])
    confusion = confusion_matrix(labels, predicted, 4)
    assert confusion.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    # The third class has no video.
    assert mean_class_accuracy(confusion) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_calibration_by_hand():
    confidences = np.array([0.0, 0.5, 0.55, 0.6, 1.0])
    correct = np.array([False, True, True, False, True])
    error, bins = calibration(confidences, correct, num_bins=10)
    assert [part.count for part in bins] == [1, 0, 0, 0, 1, 2, 0, 0, 0, 1]
    # A bin has its high end and not its low one, except that 0 is in the first.
    assert bins[4].accuracy == 1
    assert bins[4].confidence == 0.5
    assert (bins[5].accuracy, bins[5].confidence) == (0.5, pytest.approx(0.575))
    assert error == pytest.approx((0 + 0.5 + 2 * 0.075 + 0) / 5)
    assert bins[1].accuracy is None


def calibration_oracle(confidences, correct, num_bins):
    error = 0.0
    for number in range(num_bins):
        inside = [
            (confidence, right)
            for confidence, right in zip(confidences, correct, strict=True)
            if max(math.ceil(confidence * num_bins) - 1, 0) == number
        ]
        if inside:
            gap = sum(confidence - right for confidence, right in inside)
            error += abs(gap) / len(confidences)
    return error


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_by_an_oracle(videos):
    confidences, correct = (np.array(values) for values in zip(*videos, strict=True))
    error, bins = calibration(confidences, correct, 15)
    assert error == pytest.approx(calibration_oracle(confidences, correct, 15), abs=1e-9)
    assert sum(part.count for part in bins) == len(videos)


def test_cross_entropy_is_cut_off():
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0]])
    labels = np.array([0, 1])
    assert cross_entropy(probabilities[:1], labels[:1]) == pytest.approx(math.log(4))
    expected = (math.log(4) + 7 * math.log(10)) / 2
    assert cross_entropy(probabilities, labels, "probabilities") == pytest.approx(expected)


def test_wilson_interval_of_the_literature():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(20, 20)[1] == 1


def test_mcnemar_by_exact_fractions():
    assert mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(1, 8) == 0.0390625
    for one, other in ((3, 3), (0, 5), (12, 30), (400, 500)):
        total = one + other
        tail = sum(math.comb(total, k) for k in range(min(one, other) + 1))
        expected = float(min(Fraction(1), Fraction(2 * tail, 2**total)))
        assert mcnemar_exact(one, other) == mcnemar_exact(other, one) == expected
    # More than floats can hold on the way.
    assert 0 < mcnemar_exact(9_000, 10_000) < 1e-10
