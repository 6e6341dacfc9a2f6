import keras
import numpy as np
import pytest
from battery import check_arguments_covered, random_like, run_layer_test

from keras_tdn.layers import ShortTermTDM

# The golden of this layer is the tap `difference_stem` of tests/models/test_parity.py.


def test_layer_battery(tmp_path):
    arguments = {"filters": 6, "frames_per_segment": 3}
    check_arguments_covered(ShortTermTDM, arguments)
    run_layer_test(ShortTermTDM, arguments, (2, 6, 16, 12, 3), (4, 4, 3, 6), tmp_path)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (32, 45), (47, 33)])
def test_output_shape_is_the_real_one(size):
    layer = ShortTermTDM(filters=2)
    x = random_like((1, 10, *size, 3))
    assert tuple(layer(x).shape) == layer.compute_output_shape(x.shape)


def test_still_video_by_hand():
    # Equal frames have zero differences; what is left is the norm's beta behind the ReLU.
    layer = ShortTermTDM(filters=3)
    x = np.full((2, 10, 16, 16, 3), 7.0, "float32")
    layer.build(x.shape)
    layer.norm.beta.assign([-1.0, 0.5, 2.0])
    output = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(output, np.broadcast_to([0.0, 0.5, 2.0], output.shape), atol=1e-6)


def test_unsigned_pixels_do_not_wrap_around():
    layer = ShortTermTDM(filters=3, frames_per_segment=2)
    falling = np.stack([np.full((8, 8, 3), 200), np.full((8, 8, 3), 10)])[None]
    as_integers = keras.ops.convert_to_numpy(layer(falling.astype("uint8")))
    as_floats = keras.ops.convert_to_numpy(layer(falling.astype("float32")))
    np.testing.assert_array_equal(as_integers, as_floats)


def test_bfloat16_sees_small_motion():
    """Normalised frames near 2 are 1/64 apart in bfloat16; motion of one grey level is smaller."""
    layer = ShortTermTDM(filters=4, frames_per_segment=2, dtype="mixed_bfloat16")
    level = 1 / (255 * 0.225)
    frames = np.full((1, 2, 8, 8, 3), 2.0, "float32")
    frames[:, 1] += level
    layer.build(frames.shape)
    layer.conv.kernel.assign(np.full(layer.conv.kernel.shape, 1.0))
    output = keras.ops.convert_to_numpy(keras.ops.cast(layer(frames), "float32"))
    # At 4x4 pooled positions the kernel of 7 covers all 16 from the middle, 3 channels each.
    np.testing.assert_allclose(output.max(), 48 * level, rtol=0.01)


def test_numpy_oracle():
    layer = ShortTermTDM(filters=4)
    x = random_like((2, 10, 9, 12, 3))
    layer.build(x.shape)
    rng = np.random.default_rng(1)
    for variable in layer.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    output = keras.ops.convert_to_numpy(layer(x, training=False))

    frames = x.reshape(4, 5, 9, 12, 3).astype("float64")
    stack = np.concatenate([frames[:, i + 1] - frames[:, i] for i in range(4)], axis=-1)
    pooled = stack[:, :8].reshape(4, 4, 2, 6, 2, 12).mean(axis=(2, 4))
    padded = np.pad(pooled, [(0, 0), (3, 3), (3, 3), (0, 0)])
    kernel, gamma, beta, mean, variance = map(keras.ops.convert_to_numpy, layer.weights)
    expected = np.zeros((4, 2, 3, 4))
    for i in range(2):
        for j in range(3):
            window = padded[:, 2 * i : 2 * i + 7, 2 * j : 2 * j + 7]
            expected[:, i, j] = np.tensordot(window, kernel, axes=3)
    expected = (expected - mean) / np.sqrt(variance + 1e-5)
    expected = np.maximum(expected * gamma + beta, 0)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"frames_per_segment": 1}, None, "integer of at least 2 for `frames_per_segment`"),
        ({"filters": 0}, None, "integer of at least 1 for `filters`"),
        ({}, (2, 40, 64, 3), "ShortTermTDM needs a 5-D input"),
        ({}, (2, 41, 64, 64, 3), "41 frames are not divisible by frames_per_segment=5"),
        ({}, (2, 0, 64, 64, 3), "0 frames are not divisible"),
        ({}, (2, 40, 3, 64, 3), "at least 4 pixels"),
        ({}, (2, 40, 64, 64, None), "known number of channels"),
    ],
)
def test_errors(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        ShortTermTDM(**arguments).build(shape)


def test_differences_by_hand():
    clips = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 6, 3)).astype(np.float32)
    differences = ShortTermTDM(4, frames_per_segment=3).differences(clips)
    differences = keras.ops.convert_to_numpy(differences)
    assert differences.shape == (4, 4, 6, 6)
    # The second segment of the first clip: frames 3, 4 and 5.
    np.testing.assert_array_equal(differences[1, ..., :3], clips[0, 4] - clips[0, 3])
    np.testing.assert_array_equal(differences[1, ..., 3:], clips[0, 5] - clips[0, 4])
