"""How clips are cut belongs to the model: it is in its config, its copies and its files."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
from test_tdn_resnet import clips, run, with_random_norms

import keras_tdn
from keras_tdn import ClipSpec, Normalization, TDNResNet
from keras_tdn.models.predicting import clip_spec_of, model_inputs

SMALL = {"stage_depths": (1, 1, 1, 1), "width": 8, "classes": 3, "num_segments": 2}
# Not square, and with statistics of its own.
SPEC = ClipSpec(2, 5, 48, 64, 56, Normalization((0.4, 0.5, 0.6), (0.1, 0.2, 0.3)))


@pytest.fixture(scope="module")
def model():
    return with_random_norms(TDNResNet(**SMALL, labels=list("abc"), clip_spec=SPEC))


def test_the_config_has_it_and_copies_keep_it(model):
    config = json.loads(json.dumps(model.get_config()))
    copy = TDNResNet.from_config(config)
    assert (copy.clip_spec, copy.labels) == (SPEC, ("a", "b", "c"))
    assert copy.get_config() == model.get_config()
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(run(copy, clips(2)), run(model, clips(2)))
    assert TDNResNet(**SMALL).get_config()["clip_spec"] is None


def test_model_files_keep_it(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.clip_spec, loaded.labels) == (SPEC, ("a", "b", "c"))
    np.testing.assert_array_equal(run(loaded, clips(2)), run(model, clips(2)))


def test_a_model_file_of_before_says_what_is_assumed(model, tmp_path):
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                del config["config"]["clip_spec"]
                content = json.dumps(config)
            old.writestr(name, content)
    with pytest.warns(
        UserWarning, match=r"does not say how .* 224x224 .* short side of 256 are as"
    ):
        loaded = keras.saving.load_model(tmp_path / "old.keras")
    assert loaded.clip_spec == ClipSpec(2)
    assert loaded.labels == ("a", "b", "c")


def test_keras_clones_are_plain_models_that_do_not_guess(model):
    clone = keras.models.clone_model(model)
    with pytest.raises(ValueError, match="does not say how its clips are cut"):
        clip_spec_of(clone)


def test_the_normalization_is_the_one_that_is_applied(model):
    outside = TDNResNet(**SMALL, include_preprocessing=False, clip_spec=SPEC)
    outside.set_weights(model.get_weights())
    expected = run(outside, model_inputs(outside, clips(2), SPEC))
    np.testing.assert_allclose(run(model, clips(2)), expected, rtol=1e-4)
    # Set afterwards, also when a function was compiled with the former one.
    other = TDNResNet(**SMALL)
    other.set_weights(model.get_weights())
    other.compile(run_eagerly=True)
    before = other.predict_on_batch(clips(2))
    assert np.max(np.abs(before - expected)) > 1e-3
    other.clip_spec = SPEC
    assert other.predict_function is None
    np.testing.assert_allclose(other.predict_on_batch(clips(2)), expected, rtol=1e-4)
    other.clip_spec = dataclasses.replace(SPEC, normalization=Normalization())
    np.testing.assert_allclose(other.predict_on_batch(clips(2)), before, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clip_spec": ClipSpec(3)}, "The model takes 2 segments of 5 frames"),
        ({"clip_spec": 224}, "`clip_spec` is a keras_tdn.ClipSpec. Received: clip_spec=224"),
        (
            {"clip_spec": SPEC, "input_shape": (10, 64, 64, 3)},
            "clips of 64x64 pixels alone, and the clip_spec makes crops of 48x64",
        ),
        (
            {"width": 8192},
            r"stage_depths=\(1, 1, 1, 1\), width=8192, .* KERAS_TDN_MAX_MODEL_GIB=362",
        ),
        ({"classes": 10**10}, "classes=10000000000 would take"),
        ({"stage_depths": (25_000,) * 4}, "at most 1000 bottlenecks in all"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TDNResNet(**{**SMALL, **arguments})


def test_a_larger_model_is_made_if_it_is_allowed(monkeypatch):
    monkeypatch.setenv("KERAS_TDN_MAX_MODEL_GIB", "0.0002")
    with pytest.raises(ValueError, match="that one model may take"):
        TDNResNet(**SMALL)
    monkeypatch.setenv("KERAS_TDN_MAX_MODEL_GIB", "0.0005")
    assert keras_tdn.TDNResNet(**SMALL)
