"""Convolutions give what Keras' own do, and so do a step's gradients."""

import keras
import numpy as np
import pytest
from battery import random_like
from keras import ops

from keras_tdn.layers.convolution import conv2d, depthwise

CASES = [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)]


def keras_own(layer):
    return keras.layers.Conv2D.from_config(layer.get_config())


@pytest.mark.parametrize("size", [(9, 8), (8, 13)])
@pytest.mark.parametrize(("kernel_size", "strides"), CASES)
def test_outputs_and_a_step_are_keras(kernel_size, strides, size):
    x = random_like((4, *size, 6))
    trained = []
    ours = conv2d(10, kernel_size, strides=strides, name="conv")
    for layer in (ours, keras_own(ours)):
        model = keras.Sequential([keras.Input((*size, 6)), layer])
        layer.kernel.assign(random_like(layer.kernel.shape, 1))
        model.compile(
            keras.optimizers.SGD(0.1), "mse", run_eagerly=keras.backend.backend() != "jax"
        )
        before = ops.convert_to_numpy(model(x))
        model.train_on_batch(x, np.zeros_like(before))
        trained.append((before, ops.convert_to_numpy(layer.kernel)))
    for ours, theirs in zip(*trained, strict=True):
        assert np.abs(theirs).max() > 0.1
        # The order of sums.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_half_precision(kernel_size, policy):
    ours = conv2d(10, kernel_size, name="conv", dtype=policy)
    theirs = keras_own(ours)
    x = ops.cast(random_like((2, 6, 7, 6)), policy.removeprefix("mixed_"))
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(ours.get_weights())
    outputs = [layer(x) for layer in (ours, theirs)]
    assert outputs[0].dtype == outputs[1].dtype
    values = [ops.convert_to_numpy(ops.cast(each, "float32")) for each in outputs]
    np.testing.assert_allclose(*values, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kernel_size", [(3, 1), (3, 3)])
def test_depthwise_is_keras(kernel_size):
    x, kernel = random_like((2, 8, 9, 6)), random_like((*kernel_size, 6), 1)
    given = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    ours = ops.convert_to_numpy(depthwise(*given))
    theirs = ops.depthwise_conv(x, kernel[..., None], padding="same", data_format="channels_last")
    np.testing.assert_allclose(ours, ops.convert_to_numpy(theirs), rtol=1e-5, atol=1e-5)
