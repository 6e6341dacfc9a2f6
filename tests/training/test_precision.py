"""Half precision: weights stay float32, and the scale of the loss leaves no trace in a step.

On TensorFlow in a graph, because conditions are functions of their own there.
"""

import keras
import numpy as np
import pytest

from keras_tdn import TDNResNet
from keras_tdn.training import CoupledSGD

BACKEND = keras.backend.backend()
CLASSES = 3
RATE, MOMENTUM, DECAY, CLIPNORM = 0.1, 0.9, 1e-2, 0.5
# Float16 has an exponent of 5 bits; the gradients of these tests are powers of two times 1 to 2.
SCALE = 2.0**12
# Products and sums of a handful of float32 numbers.
FLOAT32 = 1e-6


def batch():
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (6, 10, 32, 32, 3)).astype("uint8")
    return clips, np.arange(6) % CLASSES


def compiled(dtype, graph=False):
    model = TDNResNet(
        (1, 1, 1, 1),
        width=16,
        classes=CLASSES,
        num_segments=2,
        input_shape=(10, 32, 32, 3),
        dropout_rate=0.0,
        dtype=dtype,
    )
    model.compile(
        CoupledSGD(0.05, global_clipnorm=None),
        "sparse_categorical_crossentropy",
        # What TensorFlow starts with at once. JAX would compile each operation by itself.
        run_eagerly=BACKEND != "jax" and not graph,
        jit_compile=BACKEND == "jax",
    )
    return model


def trainable(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]


def step(model):
    """The loss, and how far the weights went."""
    before = trainable(model)
    loss = model.train_on_batch(*batch(), sample_weight=np.ones(6, "float32"))
    after = trainable(model)
    return loss, np.concatenate(
        [np.ravel(new - old) for new, old in zip(after, before, strict=True)]
    )


@pytest.fixture(scope="module")
def single():
    """A step in float32."""
    keras.utils.set_random_seed(5)
    model = compiled("float32")
    weights = model.get_weights()
    return weights, *step(model)


def assert_nearly(model, single, likeness):
    weights, loss, moved = single
    model.set_weights(weights)
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    half_loss, half_moved = step(model)
    assert half_loss == pytest.approx(loss, abs=5e-3)
    lengths = np.linalg.norm(half_moved), np.linalg.norm(moved)
    assert half_moved @ moved / np.prod(lengths) > likeness
    assert lengths[0] == pytest.approx(lengths[1], rel=0.02)


def test_a_step_in_bfloat16_is_nearly_that_in_float32(single):
    model = compiled("mixed_bfloat16")
    assert not isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.get_layer("stage4_block0_out").compute_dtype == "bfloat16"
    # It has 8 bits, and batch norms of few values magnify what is lost.
    assert_nearly(model, single, 0.98)


@pytest.mark.slow
def test_float16_leaves_out_overflow_and_else_is_nearly_float32(single):
    model = compiled("mixed_float16", graph=True)
    inner = model.optimizer.inner_optimizer
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(inner, CoupledSGD)
    before = trainable(model)
    # The largest float16 is 65504.
    model.train_on_batch(*batch(), sample_weight=np.float32([1, 1, 1, 1, 1, 1e38]))
    for old, new in zip(before, trainable(model), strict=True):
        np.testing.assert_array_equal(new, old)
    assert not any(np.any(keras.ops.convert_to_numpy(momentum)) for momentum in inner.momentums)
    assert int(keras.ops.convert_to_numpy(inner.iterations)) == 0
    scale = float(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale))
    assert scale == model.optimizer.initial_scale / 2
    assert_nearly(model, single, 0.998)
    assert int(keras.ops.convert_to_numpy(inner.iterations)) == 1


# === The optimizer alone ===


class Scaled:
    """`CoupledSGD` in Keras' loss scaling, fed with gradients of a scaled loss."""

    def __init__(self, **options):
        self.kernel = keras.Variable(np.float32([1.0, -2.0, 3.0]), name="kernel")
        self.bias = keras.Variable(np.float32([0.5]), name="bias")
        self.inner = CoupledSGD(
            RATE, momentum=MOMENTUM, coupled_weight_decay=DECAY, global_clipnorm=CLIPNORM
        )
        self.optimizer = keras.optimizers.LossScaleOptimizer(
            self.inner, initial_scale=SCALE, **options
        )
        self.optimizer.build([self.kernel, self.bias])

    def step(self, kernel, bias):
        """One step with the gradients of the loss as it is."""
        gradients = [
            keras.ops.convert_to_tensor(np.float32(gradient) * np.float32(self.scale))
            for gradient in (kernel, bias)
        ]
        variables = [self.kernel, self.bias]
        if BACKEND != "jax":
            self.optimizer.apply(gradients, variables)
            return
        # As Keras' trainer does: on JAX, conditions cannot change variables.
        values, state = self.optimizer.stateless_apply(
            [variable.value for variable in self.optimizer.variables],
            gradients,
            [variable.value for variable in variables],
        )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, state, strict=True):
            variable.assign(value)

    @property
    def scale(self):
        return float(keras.ops.convert_to_numpy(self.optimizer.dynamic_scale))

    def state(self):
        variables = [self.kernel, self.bias, *self.inner.variables]
        return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def authors_steps(steps):
    """The authors' SGD in NumPy: clip, decay, momentum, twice the rate for the bias."""
    values = [np.array([1.0, -2.0, 3.0]), np.array([0.5])]
    sums = [np.zeros(3), np.zeros(1)]
    for gradients in steps:
        gradients = [np.asarray(gradient, float) for gradient in gradients]
        norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
        for at, (rate, decay) in enumerate(((RATE, DECAY), (2 * RATE, 0.0))):
            gradient = gradients[at] * min(1.0, CLIPNORM / norm) + decay * values[at]
            sums[at] = MOMENTUM * sums[at] + gradient
            values[at] = values[at] - rate * sums[at]
    return values


# The norm of the first is above the one to clip at, that of the second below; scaled, both are.
STEPS = [([3.0, 0.0, -4.0], [1.0]), ([0.125, -0.25, 0.0625], [0.125])]


def test_gradients_are_clipped_after_unscaling():
    scaled = Scaled()
    for kernel, bias in STEPS:
        scaled.step(kernel, bias)
    expected = authors_steps(STEPS)
    for variable, value in zip((scaled.kernel, scaled.bias), expected, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), value, rtol=FLOAT32)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_step_that_overflows_is_left_out(value):
    scaled = Scaled()
    scaled.step(*STEPS[0])
    before = scaled.state()
    scaled.step([0.125, value, 0.0625], [0.125])
    for old, new in zip(before, scaled.state(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert scaled.scale == SCALE / 2
    scaled.step(*STEPS[1])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(scaled.kernel), authors_steps(STEPS)[0], rtol=FLOAT32
    )


def test_the_scale_grows_when_all_is_well():
    scaled = Scaled(dynamic_growth_steps=2)
    scales = []
    for at in range(5):
        scaled.step(*STEPS[at % 2])
        scales.append(scaled.scale / SCALE)
    assert scales == [1, 2, 2, 4, 4]


def test_config_in_a_loss_scale():
    scaled = Scaled().optimizer
    again = keras.optimizers.deserialize(keras.optimizers.serialize(scaled))
    assert isinstance(again.inner_optimizer, CoupledSGD)
    assert again.get_config() == scaled.get_config()
