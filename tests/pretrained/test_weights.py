import io
import json
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_tdn
from keras_tdn.pretrained import save_preset
from keras_tdn.pretrained.weights import load_weights

DEPTHS = (1, 1, 1, 1)


def small_model(depths=DEPTHS, **changes):
    return keras_tdn.TDNResNet(depths, **{"width": 16, "classes": 3, "num_segments": 2, **changes})


def values(model):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]


def assert_equal(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.fixture(scope="module")
def source():
    model = small_model(labels=["a", "b", "c"])
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    source.save_weights(folder / "a.weights.h5")
    source.save(folder / "a.keras")
    save_preset(source, folder / "preset")
    return folder


FORMS = ["a.weights.h5", "a.keras", "preset"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
def test_every_form_fills_every_variable(source, folder, form, kind):
    model = small_model(weights=kind(folder / form))
    assert_equal(values(model), values(source))


@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_labels_come_along_unless_given(folder, form):
    assert small_model(weights=folder / form).labels == ("a", "b", "c")
    assert small_model(weights=folder / form, labels=list("xyz")).labels == ("x", "y", "z")


def test_the_clip_spec_comes_along_where_it_fits(source, tmp_path):
    spec = keras_tdn.ClipSpec(2, 5, 96, 128, 100)
    source.clip_spec = spec
    try:
        save_preset(source, tmp_path / "preset")
    finally:
        source._clip_spec = None
    assert small_model(weights=tmp_path / "preset").clip_spec == spec
    fixed = small_model(weights=tmp_path / "preset", input_shape=(10, 64, 64, 3))
    assert fixed.clip_spec.height == 64


@pytest.mark.parametrize("form", FORMS)
def test_settings_without_weights_may_differ(source, folder, form):
    model = small_model(
        weights=folder / form,
        dropout_rate=0.0,
        classifier_activation=None,
        include_preprocessing=False,
        dtype="mixed_bfloat16",
    )
    assert_equal(values(model), values(source))


def test_frozen_and_compiled_models_are_read(tmp_path):
    model = small_model()
    model.get_layer("stem_norm").trainable = False
    model.compile(optimizer=keras.optimizers.SGD(0.0, momentum=0.9), loss="mse", jit_compile=False)
    model.fit(np.zeros((1, 10, 32, 32, 3), np.uint8), np.zeros((1, 3)), verbose=0)
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    for name in ("a.keras", "a.weights.h5"):
        loaded = small_model(weights=tmp_path / name)
        for layer in model.layers:
            assert_equal(values(loaded.get_layer(layer.name)), values(layer))


def test_bfloat16_files_are_read(tmp_path):
    model = small_model(dtype="bfloat16")
    model.save_weights(tmp_path / "a.weights.h5")
    loaded = small_model(weights=tmp_path / "a.weights.h5")
    assert_equal(values(loaded), [value.astype(np.float32) for value in values(model)])


@pytest.mark.parametrize(
    ("changes", "told", "fix"),
    [
        ({"depths": (1, 1, 2, 1)}, "stage_depths is (1, 1, 1, 1) there", "stage_depths=(1, 1, 1"),
        ({"width": 24}, "width is 16 there and 24", "width=16"),
        ({"classes": 4}, "classes is 3 there and 4", "classes=3"),
        ({"short_term": False}, "short_term is True there", "short_term=True"),
        ({"long_term": False}, "long_term is True there", "long_term=True"),
        ({"temporal_shift": False}, "temporal_shift is True there", "temporal_shift=True"),
        ({"frames_per_segment": 3}, "frames_per_segment is 5 there", "frames_per_segment=5"),
        ({"include_top": False}, "include_top is True there", "include_top=True"),
        ({"num_segments": 8}, "num_segments is 2 there and 8", "appearance_weight=0.75"),
        (
            {"motion_weight": 0.5},
            "motion_weight is 0.25 there and 0.5 in the model",
            "motion_weight=0.25",
        ),
    ],
)
@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_another_architecture_is_refused(folder, form, changes, told, fix):
    model = small_model(**changes)
    before = values(model)
    with pytest.raises(ValueError, match="belong to another model") as info:
        load_weights(model, folder / form)
    assert told in str(info.value)
    assert fix in str(info.value).partition("Build the model with")[2]
    assert_equal(values(model), before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (1, 1, 2, 1)}, r"missing from the file \(.*stage3_block1_conv1"),
        ({"classes": 4}, r"3 classes and the model 4: build the model with classes=3"),
        ({"width": 24}, r"of another shape .*stem_conv/kernel \(7, 7, 3, 16\)"),
        ({"short_term": False}, r"left over .*motion_stage1_block0_conv1/0"),
        ({"long_term": False}, r"left over .*stage2_block0_long_term_tdm"),
        ({"temporal_shift": False}, r"left over .*stage2_block0_temporal_shift/0"),
        ({"include_top": False}, r"left over .*classifier/0, classifier/1"),
    ],
)
def test_a_weights_file_of_another_model_is_refused(folder, changes, message):
    model = small_model(**changes)
    before = values(model)
    with pytest.raises(ValueError, match=message):
        load_weights(model, folder / "a.weights.h5")
    assert_equal(values(model), before)


def test_a_deeper_file_is_refused(tmp_path):
    small_model((1, 1, 2, 1)).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"left over .*stage3_block1_conv1/0"):
        small_model(weights=tmp_path / "a.weights.h5")


def test_nan_is_refused(folder, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes((folder / "a.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/dense/vars/1"][0] = np.nan
    with pytest.raises(ValueError, match=r"not finite \(1\): classifier/1"):
        small_model(weights=path)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-100],
    ],
    ids=["empty", "html", "half", "nearly"],
)
def test_a_damaged_file_is_refused(folder, tmp_path, name, damage):
    path = tmp_path / name
    path.write_bytes(damage((folder / name).read_bytes()))
    model = small_model()
    before = values(model)
    with pytest.raises(ValueError, match=r"damaged or is no Keras .* file"):
        load_weights(model, path)
    assert_equal(values(model), before)


def test_links_out_of_a_weights_file_are_refused(folder, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes((folder / "a.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/1"]
        target = str(folder / "a.weights.h5")
        file["layers/dense/vars/1"] = h5py.ExternalLink(target, "layers/dense/vars/1")
    with pytest.raises(ValueError, match="vars/1 is a link"):
        small_model(weights=path)


def test_another_h5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["something"] = [1.0]
    with pytest.raises(ValueError, match="is no Keras weights file"):
        small_model(weights=tmp_path / "a.weights.h5")


def test_nothing_in_a_keras_file_is_built(folder, tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ValueError, match=r"holds another model.*keras_tdn>TDNResNet"):
        small_model(weights=path)
    with zipfile.ZipFile(folder / "a.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["module"], config["class_name"] = "os", "system"
    parts["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    small_model(weights=path)


@pytest.mark.parametrize(
    "name", ["kinetics400", "something_something_v1", "something_something_v2"]
)
def test_data_sets_are_not_hosted_yet(name):
    with pytest.raises(ValueError, match="not hosted yet") as info:
        small_model(weights=name)
    assert "https://github.com/MCG-NJU/TDN" in str(info.value)
    assert "keras-tdn convert best.pth.tar my_preset" in str(info.value)


@pytest.mark.parametrize("weights", ["imagenot", "none.weights.h5", "hf://org/name", "", 3])
def test_anything_else_is_told_what_is_accepted(weights):
    with pytest.raises(ValueError, match=r"`weights` must be one of: None; 'imagenet'; a "):
        small_model(weights=weights)


def test_a_checkpoint_is_sent_to_the_converter(tmp_path):
    (tmp_path / "best.pth.tar").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"converted first: keras-tdn convert best\.pth\.tar"):
        small_model(weights=tmp_path / "best.pth.tar")


def test_imagenet_forms_go_to_imagenet(tmp_path, monkeypatch):
    calls = []
    module = types.ModuleType("imagenet")
    module.load_imagenet = lambda model, *source: calls.append(source)
    monkeypatch.setitem(sys.modules, "keras_tdn.pretrained.imagenet", module)
    for name in ("a.safetensors", "b.h5"):
        (tmp_path / name).write_bytes(b"x")
    small_model(weights="imagenet")
    small_model(weights=tmp_path / "a.safetensors")
    small_model(weights=str(tmp_path / "b.h5"))
    expected = [(), (str(tmp_path / "a.safetensors"),), (str(tmp_path / "b.h5"),)]
    assert calls == expected
