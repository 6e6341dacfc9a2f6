"""What `weights=` means, decided in one place for models, presets and commands."""

import shutil
import warnings

import keras
import numpy as np
import pytest

import keras_tdn
from keras_tdn import cli
from keras_tdn.pretrained import load_preset, save_preset
from keras_tdn.pretrained.catalog import CATALOG
from keras_tdn.pretrained.weights import load_model, read_config
from keras_tdn.pretrained.weights_source import WeightsKind, resolve_weights

SMALL = {"stage_depths": (1, 1, 1, 1), "width": 8, "classes": 3, "num_segments": 2}
ENTRY = CATALOG[0].name


@pytest.fixture(scope="module")
def model():
    return keras_tdn.TDNResNet(**SMALL, labels=["a", "b", "c"])


@pytest.fixture(scope="module")
def preset(model, tmp_path_factory):
    model.clip_spec = keras_tdn.ClipSpec.for_crop(2, 5, 96, 128)
    return save_preset(model, tmp_path_factory.mktemp("presets") / "ours")


@pytest.fixture(autouse=True)
def surroundings(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_PRESETS", str(preset.parent))
    monkeypatch.delenv("KERAS_TDN_HUB", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        ("imagenet", WeightsKind.IMAGENET),
        ("kinetics400", WeightsKind.DATASET),
        ("motion", WeightsKind.PRESET),
        (ENTRY, WeightsKind.PRESET),
        ("ours", WeightsKind.PRESET),
        ("hf://org/name@main", WeightsKind.PRESET),
        ("a.weights.h5", WeightsKind.WEIGHTS_FILE),
        ("a.keras", WeightsKind.MODEL_FILE),
        ("a.h5", WeightsKind.IMAGENET_FILE),
        ("a.safetensors", WeightsKind.IMAGENET_FILE),
        ("folder", WeightsKind.PRESET),
    ],
)
def test_every_kind(weights, kind, tmp_path):
    for name in ("a.weights.h5", "a.keras", "a.h5", "a.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    # Videos may lie in folders that are called so.
    for name in ("kinetics400", "motion", ENTRY):
        (tmp_path / name).mkdir()
    assert resolve_weights(weights).kind is kind


def test_none_is_random_values():
    assert resolve_weights(None) is None


def test_a_preset_here_is_meant_before_one_of_that_name(preset, tmp_path):
    for name in ("motion", "kinetics400", "ours", ENTRY):
        shutil.copytree(preset, tmp_path / name)
        assert resolve_weights(name).location == name


@pytest.mark.parametrize(
    ("weights", "nearest"),
    [
        ("imagent", "imagenet"),
        ("kinetics-400", "kinetics400"),
        ("tdn_resnet50_8_something_v1", "tdn_resnet50_8_something_something_v1"),
        ("motions", "motion"),
        ("our", "ours"),
        ("beast.weights.h5", "best.weights.h5"),
    ],
)
def test_a_mistyped_name_suggests_the_nearest(weights, nearest, tmp_path):
    (tmp_path / "best.weights.h5").touch()
    for find in (resolve_weights, load_model, load_preset):
        with pytest.raises(ValueError, match=f"{weights}.*Did you mean '{nearest}'") as info:
            find(weights)
        assert ("There is no preset" if find is load_preset else "of: None;") in str(info.value)


def test_nothing_is_suggested_for_what_is_like_nothing():
    with pytest.raises(ValueError, match="There are no weights 'xyzzy', and no such") as info:
        resolve_weights("xyzzy")
    assert "Did you mean" not in str(info.value)


def test_a_preset_in_the_folder_of_presets_is_found_by_its_name(model, preset, capsys):
    for loaded in (
        keras_tdn.TDNResNet(**SMALL, weights="ours"),
        load_preset("ours"),
        load_model("ours"),
    ):
        assert loaded.labels == ("a", "b", "c")
        for ours, theirs in zip(loaded.weights, model.weights, strict=True):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
            )
    assert read_config("ours").arguments["width"] == 8
    assert cli.main(["presets", "list"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ours ")]
    assert line.split() == ["ours", "not", "stated", str(preset)]


def test_a_damaged_preset_does_not_end_the_list(preset, tmp_path, monkeypatch, capsys):
    shutil.copytree(preset, tmp_path / "presets" / "broken")
    (tmp_path / "presets" / "broken" / "config.json").write_text("{")
    monkeypatch.setenv("KERAS_TDN_PRESETS", str(tmp_path / "presets"))
    assert cli.main(["presets", "list"]) == 0
    assert "broken " in (out := capsys.readouterr().out)
    assert "damaged" in out


def test_the_file_of_weights_in_a_preset_is_the_preset(preset, model):
    """Its config lies beside it, and nothing has to be assumed."""
    file = preset / "model.weights.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras_tdn.TDNResNet(**SMALL, weights=file)
        by_keras = keras_tdn.TDNResNet(**SMALL)
        by_keras.load_weights(file)
    for each in (loaded, by_keras, load_model(file)):
        assert each.labels == ("a", "b", "c")
        assert (each.clip_spec.height, each.clip_spec.width) == (96, 128)


def test_what_brings_no_model_along(tmp_path, model):
    keras.Model.save_weights(model, tmp_path / "bare.weights.h5")
    for weights in ("imagenet", None, "bare.weights.h5"):
        with pytest.raises(ValueError, match=r"does not say what model it is for\. Pass"):
            load_model(weights)
        assert read_config(weights) is None
    with pytest.raises(ValueError, match="There is no preset at 'imagenet', which is the ImageNet"):
        load_preset("imagenet")
