import subprocess
import sys

import keras
import numpy as np
import pytest
from evaluation_toys import toy
from small_networks import new_small_network, small_network

from keras_tdn.scoring.model_hash import model_sha256


def head(pooling=keras.layers.GlobalAveragePooling3D, scale=0.5, shift=0, dtype=None, name=None):
    inputs = keras.Input((6, None, None, 3))
    x = keras.layers.Rescaling(scale, name=name)(inputs)
    x = keras.layers.Lambda(lambda value: value + shift)(x)
    outputs = keras.layers.Dense(3, kernel_initializer="ones", dtype=dtype)(pooling()(x))
    return keras.Model(inputs, outputs)


class Net(keras.Model):
    """A model that does not say what it was built with."""

    def __init__(self, activation):
        super().__init__()
        self.dense = keras.layers.Dense(3, activation, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)


def net(activation):
    model = Net(activation)
    model(np.ones((1, 4)))
    return model


def test_names_and_what_is_frozen_do_not_count():
    keras.backend.clear_session()
    expected = model_sha256(head())
    # Names go on counting in one process.
    assert model_sha256(head()) == expected
    frozen = head(name="another_name")
    frozen.trainable = False
    frozen.layers[-1].trainable = False
    assert model_sha256(frozen) == expected
    # Calls add to what the layers know, and not to the model.
    frozen(np.ones((2, 6, 8, 8, 3)))
    keras.Model(frozen.layers[1].output, frozen.output)
    assert model_sha256(frozen) == expected
    first, second = (keras.Sequential([keras.Input((4,)), dense()]) for _ in range(2))
    assert model_sha256(first) == model_sha256(second)
    assert model_sha256(net("relu")) == model_sha256(net("relu"))


def dense():
    return keras.layers.Dense(2, kernel_initializer="ones")


def test_another_architecture_with_the_same_weights_is_another_model():
    hashes = [
        model_sha256(model)
        for model in (
            head(),
            head(pooling=keras.layers.GlobalMaxPooling3D),
            head(scale=0.25),
            head(shift=1),
            head(dtype="mixed_float16"),
            toy("softmax"),
            toy(None),
            net("relu"),
            net("tanh"),
        )
    ]
    assert len(set(hashes)) == len(hashes)


def test_so_is_one_whose_layers_are_joined_otherwise():
    def crossed(first, second):
        inputs = keras.Input((4,))
        outputs = [inputs, keras.layers.ReLU()(inputs)]
        outputs.append(keras.layers.Activation("tanh")(inputs))
        return keras.Model(inputs, keras.layers.Subtract()([outputs[first], outputs[second]]))

    assert model_sha256(crossed(1, 2)) == model_sha256(crossed(1, 2))
    assert model_sha256(crossed(1, 2)) != model_sha256(crossed(2, 1))


def test_weights_count():
    model = head()
    expected = model_sha256(model)
    model.layers[-1].bias.assign([0.0, 0.0, 1.0])
    assert model_sha256(model) != expected


def test_models_of_this_library_count_with_their_arguments():
    one, other = small_network(), new_small_network(name="other")
    other.trainable = False
    assert model_sha256(one) == model_sha256(other)
    # The last has the same weights.
    for change in ({"short_term": False}, {"long_term": False}, {"temporal_shift": False},
                   {"num_segments": 4}):  # fmt: skip
        assert model_sha256(small_network(**change)) != model_sha256(one)


@pytest.mark.slow
def test_another_process_gets_the_same(tmp_path):
    model = head()
    model.save(tmp_path / "model.keras")
    script = (
        "import sys, keras; from keras_tdn.scoring.model_hash import model_sha256\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=False)\n"
        "print(model_sha256(model))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "model.keras"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == model_sha256(model)
