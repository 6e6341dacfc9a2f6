import goldens
import keras
import numpy as np
import pytest
from battery import check_arguments_covered, random_like, run_layer_test

from keras_tdn.layers import TemporalShift

GOLDEN = goldens.arrays("layers.npz")


def test_layer_battery(tmp_path):
    arguments = {"num_segments": 3, "shift_div": 4}
    check_arguments_covered(TemporalShift, arguments)
    run_layer_test(TemporalShift, arguments, (6, 4, 5, 9), (6, 4, 5, 9), tmp_path)


def test_golden():
    layer = TemporalShift(int(GOLDEN["shift/num_segments"]))
    layer.build(GOLDEN["shift/input"].shape)
    # The recorded initial weight is the perturbed one (noise of std 0.05 was added in place before
    # it was stored), so it tells the initial zeros and ones only after rounding.
    initial = np.rint(GOLDEN["shift/initial_weight"][:, 0].T)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.kernel), initial)
    layer.kernel.assign(GOLDEN["shift/weight"][:, 0].T)
    output = keras.ops.convert_to_numpy(layer(GOLDEN["shift/input"]))
    assert goldens.relative_error(output, GOLDEN["shift/output"]) < 1e-5


def test_initial_shift_by_hand():
    # Two videos of three segments with one position; segment s of video v holds 10 * v + s + 1.
    x = np.array([1, 2, 3, 11, 12, 13], "float32").reshape(6, 1, 1, 1) * np.ones((1, 1, 1, 4))
    output = keras.ops.convert_to_numpy(TemporalShift(3, shift_div=4)(x))[:, 0, 0]
    np.testing.assert_array_equal(output[:, 0], [2, 3, 0, 12, 13, 0])
    np.testing.assert_array_equal(output[:, 1], [0, 1, 2, 0, 11, 12])
    np.testing.assert_array_equal(output[:, 2], x[:, 0, 0, 0])
    np.testing.assert_array_equal(output[:, 3], x[:, 0, 0, 0])


def test_numpy_oracle():
    layer = TemporalShift(5)
    x = random_like((10, 3, 2, 16))
    layer.build(x.shape)
    kernel = random_like((3, 16), seed=1)
    layer.kernel.assign(kernel)
    expected = np.zeros(x.shape)
    for index in range(10):
        for tap, offset in enumerate((-1, 0, 1)):
            if 0 <= index % 5 + offset < 5:
                expected[index] += kernel[tap] * x[index + offset]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-6)


def test_single_segment_keeps_the_centre_tap():
    layer = TemporalShift(1, shift_div=2)
    x = random_like((2, 2, 2, 6))
    output = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(output, np.zeros_like(x))


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"num_segments": -1}, None, "integer of at least 1 for `num_segments`"),
        ({"num_segments": 8, "shift_div": 1}, None, "integer of at least 2 for `shift_div`"),
        ({"num_segments": 8}, (8, 7, 7, 7, 64), "TemporalShift needs a 4-D input"),
        ({"num_segments": 8}, (4, 7, 7, 64), "4 is not divisible by num_segments=8"),
        ({"num_segments": 8}, (8, 7, 7, 7), "7 channels are fewer than that"),
    ],
)
def test_errors(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        TemporalShift(**arguments).build(shape)
