"""Logits of the authors' training steps, in float64.

TensorFlow alone: Keras' PyTorch batch norm computes in float32, and JAX has float64 only with a
process-wide switch. Float32 on every backend is covered by the layers' train-mode goldens.
"""

import backends
import goldens
import keras
import numpy as np
import pytest

from keras_tdn import Normalization, TDNResNet
from keras_tdn.pretrained import load_official_state_dict

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs TensorFlow for float64 gradients"
)
# Both sides compute in float64; what is left is the order of sums.
BOUND = 1e-9
NAME = "depth1111"


@pytest.fixture(scope="module")
def golden():
    return goldens.arrays("train_steps_depth1111_8x64.npz")


@pytest.fixture(scope="module")
def clip(golden):
    pixels = goldens.clip(19, 2, 40, 64, golden["clip_crc32"])
    # The recorded run normalised in float32 and computed on in float64.
    mean, std = np.float32(Normalization().mean), np.float32(Normalization().std)
    return ((pixels / np.float32(255) - mean) / std).astype("float64")


@pytest.fixture
def model():
    model = TDNResNet(
        (1, 1, 1, 1),
        classes=10,
        classifier_activation=None,
        dropout_rate=0.0,
        include_preprocessing=False,
        dtype="float64",
    )
    load_official_state_dict(model, goldens.state(NAME))
    return model


def test_inference_logits(golden, clip, model):
    logits = backends.infer(model, clip)
    assert goldens.relative_error(logits, golden["eval_logits"]) < BOUND


def test_training_logits_of_both_steps(golden, clip, model):
    """The second step's logits also depend on every gradient and on what the first step wrote."""
    import tensorflow as tf

    for step in (1, 2):
        with tf.GradientTape() as tape:
            logits = model(clip, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(golden["labels"], logits)
            )
        assert goldens.relative_error(logits, golden[f"step{step}/train_logits"]) < BOUND
        assert abs(float(loss) - golden[f"step{step}/loss"]) < BOUND * golden[f"step{step}/loss"]
        if step == 2:
            return
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        apply_first_step(variables, gradients, golden)


def apply_first_step(variables, gradients, golden):
    """The authors' first step, where the momentum buffer is still the gradient itself."""
    gradients = [gradient.numpy() for gradient in gradients]
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    # The authors' convolution biases, which ours has not, have zero gradient in front of a norm.
    np.testing.assert_allclose(norm, golden["step1/global_grad_norm"], rtol=BOUND)
    # PyTorch's clip_grad_norm_ adds 1e-6 to the norm.
    scale = min(1.0, float(golden["global_clipnorm"]) / (norm + 1e-6))
    for variable, gradient in zip(variables, gradients, strict=True):
        value, rate, decay = keras.ops.convert_to_numpy(variable), 1.0, 0.0
        if variable.path == "classifier/bias":
            rate = 2.0
        elif not variable.path.endswith(("gamma", "beta")):
            decay = float(golden["weight_decay"])
        step = gradient * scale + decay * value
        variable.assign(value - float(golden["learning_rate"]) * rate * step)
