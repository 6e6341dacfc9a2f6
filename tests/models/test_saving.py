"""Files written on one backend give the same scores on the others."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import HOW_TO_INSTALL, skip_without
from test_tdn_resnet import SMALL, clips, run, with_random_norms

from keras_tdn import TDNResNet

LOAD = """
import sys, keras, numpy as np, keras_tdn
folder = sys.argv[1]
x = np.load(f"{folder}/clips.npy")
model = keras.saving.load_model(f"{folder}/model.keras")
refilled = keras_tdn.TDNResNet(stage_depths=(1, 2, 1, 1), width=16, classes=6, num_segments=4)
refilled.load_weights(f"{folder}/model.weights.h5")
for name, loaded in (("keras", model), ("weights", refilled)):
    scores = keras.ops.convert_to_numpy(loaded(x, training=False))
    np.save(f"{folder}/{name}.npy", scores)
assert model.labels == ("a", "b", "c", "d", "e", "f"), model.labels
"""


@pytest.mark.parametrize("backend", HOW_TO_INSTALL)
@pytest.mark.slow
def test_round_trip_to_every_backend(backend, tmp_path):
    skip_without(backend)
    labels = tuple("abcdef")
    model = with_random_norms(TDNResNet(**SMALL, num_segments=4, labels=labels))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    np.save(tmp_path / "clips.npy", clips())
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], check=True, env=environment)
    expected = run(model, clips())
    for name in ("keras", "weights"):
        scores = np.load(tmp_path / f"{name}.npy")
        # Backends order float32 sums differently; the same backend is exact.
        tolerance = 0 if backend == keras.backend.backend() else 1e-4
        np.testing.assert_allclose(scores, expected, rtol=tolerance)


def test_optimizer_state_and_frozen_layers_survive(tmp_path):
    model = TDNResNet((1, 1, 1, 1), width=16, classes=2, num_segments=2)
    model.get_layer("stem_conv").trainable = False
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "sparse_categorical_crossentropy",
        # Less work than tracing, for one step.
        run_eagerly=keras.backend.backend() != "jax",
    )
    model.fit(clips(2, (32, 32)), np.array([0, 1]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.get_layer("stem_conv").trainable
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        )


def test_inside_another_model(tmp_path):
    backbone = TDNResNet(**SMALL, num_segments=4, include_top=False, pooling="avg")
    inputs = keras.Input((20, 32, 40, 3))
    model = keras.Model(inputs, keras.layers.Dense(2)(backbone(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, clips()), run(model, clips()), rtol=1e-6)
    assert isinstance(loaded.layers[1], TDNResNet)


def test_clone():
    model = TDNResNet(**SMALL, num_segments=4)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(run(clone, clips()), run(model, clips()))
