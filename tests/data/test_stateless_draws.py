import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from backends import skip_without

from keras_tdn.data.stateless_draws import STEP, _mix, array_module, draw_below

# The published generator's first outputs from the state 1234567.
SPLITMIX64 = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_mixing_is_splitmix64():
    states = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(STEP)
    assert _mix(states).tolist() == SPLITMIX64
    assert _mix(tf.constant(states)).numpy().tolist() == SPLITMIX64


def test_draws_are_kept_from_release_to_release():
    draws = draw_below(np, 1000, (1, 2), (6,))
    assert draws.tolist() == [900, 280, 7, 164, 960, 302]


def test_first_draws_do_not_depend_on_how_many_follow():
    np.testing.assert_array_equal(
        draw_below(np, 1000, 7, (2, 3)), draw_below(np, 1000, 7, (4, 3))[:2]
    )


@pytest.mark.parametrize("bound", [1, 2, 3, 1000, 2**31])
def test_draws_fill_the_range_evenly(bound):
    draws = draw_below(np, bound, (5, 6), (40_000,))
    assert draws.min() >= 0
    assert draws.max() < bound
    # The mean of uniform draws lies within four standard errors of the middle.
    assert abs(draws.mean() - (bound - 1) / 2) <= 4 * bound / np.sqrt(12 * 40_000)
    np.testing.assert_array_equal(draw_below(tf, bound, (5, 6), (40_000,)), draws)


def test_both_halves_of_the_seed_and_its_neighbours_matter():
    seeds = [(first, second) for first in range(-8, 8) for second in range(-8, 8)]
    draws = np.stack([draw_below(np, 2**31, seed, (4,)) for seed in seeds])
    assert len({row.tobytes() for row in draws}) == len(seeds)
    # Neither neighbouring seeds nor neighbouring draws resemble each other.
    unit = draws / 2**31 - 0.5
    correlation = np.corrcoef(unit, rowvar=False) - np.eye(4)
    assert np.abs(correlation).max() < 0.25
    assert abs(np.corrcoef(unit[:-1].ravel(), unit[1:].ravel())[0, 1]) < 0.13


def test_array_module():
    assert array_module(1, np.ones(2), None) is np
    assert array_module(1, tf.constant(1)) is tf


def test_sampling_does_not_import_tensorflow():
    skip_without("jax")
    code = (
        "import sys\n"
        "from keras_tdn.data.segment_sampling import SegmentSampler\n"
        "SegmentSampler(8, mode='random')(100, seed=1)\n"
        "print('tensorflow' in sys.modules)"
    )
    # Keras' JAX backend is the one that leaves TensorFlow out where all are installed.
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == ["False"]
