"""The kernels of batch norm against Keras' own operations."""

import keras
import numpy as np
import pytest

from keras_tdn.layers.batch_norm import BatchNormalization, batch_norm

SHAPE = (4, 3, 5, 6)
# Half precision rounds inputs and outputs; what is in between is float32 on both sides.
BOUNDS = {
    "float32": 1e-5,
    "mixed_bfloat16": 2e-2,
    "mixed_float16": 2e-3,
    "bfloat16": 5e-2,
    "float16": 5e-3,
}


def pair(dtype="float32"):
    """Ours and Keras', with the same weights."""
    ours = batch_norm("ours", dtype)
    keras_own = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
    rng = np.random.default_rng(0)
    for layer in (ours, keras_own):
        layer.build((None, *SHAPE[1:]))
    for one, other in zip(ours.weights, keras_own.weights, strict=True):
        values = rng.uniform(0.5, 1.5, one.shape)
        one.assign(values)
        other.assign(values)
    return ours, keras_own


def maps(seed=1, shape=SHAPE):
    return (3 + 2 * np.random.default_rng(seed).standard_normal(shape)).astype("float32")


def as_array(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def compare(ours, keras_own, bound):
    for one, other in zip(ours.weights, keras_own.weights, strict=True):
        np.testing.assert_allclose(as_array(one), as_array(other), rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_averages_are_keras(dtype, training):
    ours, keras_own = pair(dtype)
    for seed in (1, 2):
        outputs = [as_array(layer(maps(seed), training=training)) for layer in (ours, keras_own)]
        np.testing.assert_allclose(*outputs, rtol=BOUNDS[dtype], atol=BOUNDS[dtype])
    compare(ours, keras_own, BOUNDS[dtype])


@pytest.mark.parametrize("shape", [(1, 1, 1, 6), (2, 1, 1, 6)])
def test_one_or_two_values(shape):
    ours, keras_own = pair()
    outputs = [as_array(layer(maps(1, shape), training=True)) for layer in (ours, keras_own)]
    np.testing.assert_allclose(*outputs, atol=1e-4)
    compare(ours, keras_own, 1e-5)


def test_a_frozen_norm_uses_its_averages():
    ours, _ = pair()
    before = [as_array(weight) for weight in ours.weights]
    ours.trainable = False
    expected = as_array(ours(maps(), training=False))
    np.testing.assert_array_equal(as_array(ours(maps(), training=True)), expected)
    for weight, value in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(as_array(weight), value)


def test_parts_have_statistics_of_their_own():
    ours, keras_own = pair()
    first, second = maps(1), 5 * maps(2)
    outputs = as_array(ours.call_on_parts(np.concatenate([first, second]), 2, training=True))
    expected = [as_array(keras_own(part, training=True)) for part in (first, second)]
    np.testing.assert_allclose(outputs, np.concatenate(expected), rtol=1e-4, atol=1e-4)
    # The averages have advanced twice, in this order.
    compare(ours, keras_own, 1e-5)


def test_it_is_made_again_from_its_config():
    config = batch_norm("norm", "mixed_bfloat16").get_config()
    again = BatchNormalization.from_config(config)
    assert again.get_config() == config
    assert again.momentum == 0.9
    assert again.epsilon == 1e-5


def test_files_of_weights_are_laid_out_as_with_keras():
    """Keras names the groups of a file by the class."""
    assert BatchNormalization.__name__ == keras.layers.BatchNormalization.__name__
