import dataclasses
import hashlib
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
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.specs import Normalization

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
    # As Keras writes it, and this package did before the file said what it is for.
    keras.Model.save_weights(source, folder / "bare.weights.h5")
    source.save(folder / "a.keras")
    save_preset(source, folder / "preset")
    return folder


FORMS = ["a.weights.h5", "a.keras", "preset"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
def test_every_form_fills_every_variable(source, folder, form, kind):
    model = small_model(weights=kind(folder / form))
    assert_equal(values(model), values(source))


@pytest.mark.parametrize("form", FORMS)
def test_labels_come_along_unless_given(folder, form):
    assert small_model(weights=folder / form).labels == ("a", "b", "c")
    with pytest.warns(UserWarning, match="labels given are not those"):
        model = small_model(weights=folder / form, labels=list("xyz"))
    assert model.labels == ("x", "y", "z")


def test_labels_of_another_order_are_said_out_loud(folder):
    with pytest.warns(UserWarning, match=r"first at 1: 'c', there 'b'") as caught:
        small_model(weights=folder / "preset", labels=list("acb"))
    assert "in the order of the latter" in str(caught[0].message)


SPEC = keras_tdn.ClipSpec(2, 5, 96, 128, 100, Normalization((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))


@pytest.fixture(scope="module")
def told(source, tmp_path_factory):
    """The same files of a model whose clips are cut in another way."""
    folder = tmp_path_factory.mktemp("told")
    source.clip_spec = SPEC
    try:
        source.save_weights(folder / "a.weights.h5")
        write_weights_file(source, folder / "written.weights.h5", described=True)
        source.save(folder / "a.keras")
        save_preset(source, folder / "preset")
    finally:
        source.clip_spec = dataclasses.replace(SPEC, normalization=Normalization())
        source._clip_spec = None
    return folder


@pytest.mark.parametrize("form", [*FORMS, "written.weights.h5"])
def test_the_clip_spec_comes_along(told, form):
    model = small_model(weights=told / form)
    assert model.clip_spec == SPEC
    assert model.get_layer("normalization").offset[0] == pytest.approx(-0.4 / 0.2)
    if form != "preset":
        with pytest.warns(UserWarning, match="crops of 96x128 pixels, the model takes 64x64"):
            fixed = small_model(weights=told / form, input_shape=(10, 64, 64, 3))
        assert (fixed.clip_spec.height, fixed.clip_spec.normalization) == (64, SPEC.normalization)


@pytest.mark.parametrize("form", ["a.weights.h5", "preset"])
def test_a_clip_spec_that_is_given_is_kept(told, form):
    own = keras_tdn.ClipSpec(2, 5, 32, 32, 32)
    with pytest.warns(UserWarning, match=r"trained with Normalization\(.*was given Normalization"):
        model = small_model(weights=told / form, clip_spec=own)
    assert model.clip_spec == own


def test_keras_own_way_of_loading_takes_it_too(told):
    model = small_model()
    model.load_weights(told / "a.weights.h5")
    assert (model.clip_spec, model.labels) == (SPEC, ("a", "b", "c"))


def test_a_file_that_does_not_say_it_has_it_said(folder, source):
    assumed = (
        r"'.*bare.weights.h5' does not say how .*crops of 224x224 .*short side of 256 .*--size"
    )
    with pytest.warns(UserWarning, match=assumed):
        model = small_model(weights=folder / "bare.weights.h5")
    assert_equal(values(model), values(source))
    with pytest.warns(UserWarning, match=assumed):
        small_model().load_weights(folder / "bare.weights.h5")
    # Nothing has to be assumed.
    small_model(weights=folder / "bare.weights.h5", clip_spec=SPEC)
    small_model(weights=folder / "bare.weights.h5", input_shape=(10, 64, 64, 3))


def test_a_description_that_is_damaged_is_refused(told, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes((told / "a.weights.h5").read_bytes())
    for text, message in (("{", "must be JSON"), (5, "'keras_tdn' of the file is no text")):
        with h5py.File(path, "r+") as file:
            file.attrs["keras_tdn"] = text
        with pytest.raises(ValueError, match=f"a.weights.h5' is damaged .*{message}"):
            small_model(weights=path)


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
    # What the file gets from compiling is the optimizer's variables.
    model.compile(keras.optimizers.SGD(0.0, momentum=0.9), "mse", run_eagerly=True)
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
        ({"short_term": False}, "short_term is True there", "short_term=True"),
        ({"long_term": False}, "long_term is True there", "long_term=True"),
        ({"temporal_shift": False}, "temporal_shift is True there", "temporal_shift=True"),
        ({"frames_per_segment": 3}, "frames_per_segment is 5 there", "frames_per_segment=5"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
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
    ],
)
def test_a_weights_file_of_another_model_is_refused(folder, changes, message):
    model = small_model(**changes)
    before = values(model)
    with pytest.raises(ValueError, match=message):
        load_weights(model, folder / "bare.weights.h5")
    assert_equal(values(model), before)


def test_a_deeper_file_is_refused(tmp_path):
    write_weights_file(small_model((1, 1, 2, 1)), tmp_path / "a.weights.h5")
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


@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_another_number_of_classes_gets_a_new_classifier(source, folder, form):
    with pytest.warns(UserWarning, match="the classifier is new and random") as caught:
        model = small_model(weights=folder / form, classes=4)
    assert "Not loaded: classifier/kernel, classifier/bias" in str(caught[0].message)
    assert len(caught) == 1
    assert model.labels is None
    assert_equal(values(model)[:-2], values(source)[:-2])
    np.testing.assert_array_equal(values(model)[-1], np.zeros(4))


@pytest.mark.parametrize("form", FORMS)
def test_without_the_classifier_the_rest_is_loaded(source, folder, form):
    model = small_model(weights=folder / form, include_top=False, pooling="avg")
    assert_equal(values(model), values(source)[:-2])


def test_weights_without_a_classifier_leave_it_new(tmp_path):
    save_preset(small_model(include_top=False), tmp_path / "preset")
    with pytest.warns(UserWarning, match="Not loaded: classifier/kernel, classifier/bias"):
        small_model(weights=tmp_path / "preset")


@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_another_number_of_segments_keeps_the_factors_of_training(source, folder, form):
    with pytest.warns(UserWarning, match="num_segments=2, the model has 8") as caught:
        model = small_model(weights=folder / form, num_segments=8)
    assert len(caught) == 1
    assert_equal(values(model), values(source))
    assert (model.appearance_weight, model.motion_weight) == (0.75, 0.25)
    assert model.get_layer("stem_fusion").motion_weight == 0.25
    assert model.clip_spec.num_segments == 8
    # Computes as the same model does that was given the factors.
    given = small_model(num_segments=8, appearance_weight=0.75, motion_weight=0.25)
    given.set_weights(model.get_weights())
    clip = np.random.default_rng(0).integers(0, 256, (1, 40, 64, 64, 3), np.uint8)
    ours, theirs = (keras.ops.convert_to_numpy(each(clip)) for each in (model, given))
    np.testing.assert_array_equal(ours, theirs)
    again = type(model).from_config(model.get_config())
    assert again.get_layer("stage1_fusion").appearance_weight == 0.75


@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_factors_that_are_given_are_kept(folder, form):
    with pytest.warns(UserWarning, match="motion_weight=0.25, the model was given 0.5"):
        model = small_model(weights=folder / form, motion_weight=0.5)
    assert model.get_layer("stem_fusion").motion_weight == 0.5


@pytest.mark.parametrize("form", ["a.keras", "preset"])
def test_other_activations_are_refused(folder, form):
    with pytest.raises(ValueError, match=r"must be 'softmax', .*or None for logits.*'sigmoid'"):
        small_model(weights=folder / form, classifier_activation="sigmoid")


def test_an_activation_of_the_presets_own_is_kept(tmp_path):
    save_preset(small_model(classifier_activation="sigmoid"), tmp_path / "preset")
    small_model(classifier_activation="sigmoid", weights=tmp_path / "preset")


@pytest.mark.parametrize(("name", "written"), [("a.weights.h5", str.lower), ("a.keras", str.upper)])
def test_sums_beside_a_file_are_heeded(folder, tmp_path, name, written):
    content = bytearray((folder / name).read_bytes())
    sha256 = written(hashlib.sha256(content).hexdigest())
    (tmp_path / "SHA256SUMS").write_text(f"{sha256}  {name}\n")
    (tmp_path / name).write_bytes(content)
    small_model(weights=tmp_path / name)
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"was changed or damaged.*SHA256SUMS beside it"):
        small_model(weights=tmp_path / name)


def test_a_file_that_unpacks_to_much_more_is_refused(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(10_000_000))
    with pytest.raises(ValueError, match="it unpacks to 10000002 bytes"):
        small_model(weights=tmp_path / "a.keras")


@pytest.mark.parametrize("weights", ["imagenot", "none.weights.h5", "", 3])
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
    module.load_imagenet = lambda model, source: calls.append(source)
    monkeypatch.setitem(sys.modules, "keras_tdn.pretrained.imagenet", module)
    for name in ("a.safetensors", "b.h5"):
        (tmp_path / name).write_bytes(b"x")
    small_model(weights="imagenet")
    small_model(weights=tmp_path / "a.safetensors")
    small_model(weights=str(tmp_path / "b.h5"))
    assert calls == [None, str(tmp_path / "a.safetensors"), str(tmp_path / "b.h5")]
