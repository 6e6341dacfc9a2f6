"""Which layers stay as they are."""

import keras
import numpy as np
import pytest

from keras_tdn import TDNResNet
from keras_tdn.training import (
    freeze_batch_norms,
    freeze_until,
    synchronize_batch_norms,
    unfreeze,
)
from keras_tdn.training.freezing import PARTS, batch_norms

SMALL = {"stage_depths": (1, 1, 1, 1), "width": 16, "classes": 3, "num_segments": 4}
CLIPS = np.random.default_rng(0).integers(0, 256, (2, 20, 32, 32, 3), dtype="uint8")


def layers_with_trainable_variables(model):
    return {variable.path.split("/")[0] for variable in model.trainable_variables}


def test_parts_in_front_are_frozen_and_all_others_trained():
    everything = layers_with_trainable_variables(TDNResNet(**SMALL))
    for part in PARTS:
        model = TDNResNet(**SMALL)
        freeze_until(model, part)
        trained = layers_with_trainable_variables(model)
        place = PARTS.index(part)
        later = {
            name
            for name in everything
            if name.startswith(PARTS[max(1, place) :])
            or (place <= 1 and name.startswith("motion_stage1"))
            or (place == 0 and name.startswith(("stem", "short_term_tdm")))
        }
        assert trained == later, part


def test_frozen_variables_stay_in_fit_norms_included():
    model = TDNResNet(**SMALL)
    freeze_until(model, "stage3")
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = {weight.path: np.array(weight) for weight in model.weights}
    model.fit(CLIPS, np.array([0, 1]), epochs=1, verbose=0)
    changed = {
        weight.path.split("/")[0]
        for weight in model.weights
        if not np.array_equal(before[weight.path], keras.ops.convert_to_numpy(weight))
    }
    assert changed
    assert all(name.startswith(("stage3", "stage4", "classifier")) for name in changed)
    assert any("norm" in name for name in changed)


def test_partial_batch_norm_keeps_the_first():
    model = TDNResNet(**SMALL)
    freeze_batch_norms(model)
    assert {norm.name for norm in batch_norms(model) if norm.trainable} == {"stem_norm"}
    inside = [norm for norm in batch_norms(model) if "long_term_tdm" in norm.gamma.path]
    assert inside
    assert not any(norm.trainable for norm in inside)


def test_all_is_trained_again():
    model = TDNResNet(**SMALL)
    everything = {variable.path for variable in model.trainable_variables}
    freeze_until(model, "stage3")
    freeze_batch_norms(model)
    model.compile("sgd", "sparse_categorical_crossentropy")
    unfreeze(model)
    assert {variable.path for variable in model.trainable_variables} == everything


def test_unknown_part():
    with pytest.raises(ValueError, match="stage4, classifier"):
        freeze_until(TDNResNet(**SMALL), "layer4")


def test_synchronised_norms():
    model = TDNResNet(**SMALL)
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match="TensorFlow and JAX"):
            synchronize_batch_norms(model)
    else:
        synchronize_batch_norms(model)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        assert {norm.synchronized for norm in batch_norms(model)} == {on_tensorflow}
