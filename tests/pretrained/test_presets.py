import json
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import skip_without
from resealed import reseal, sha256, write_sums

import keras_tdn
from keras_tdn.pretrained import Accuracy, PresetCard, load_preset, save_preset
from keras_tdn.pretrained.preset_config import ARGUMENTS
from keras_tdn.pretrained.preset_files import FILES

REPOSITORY = pathlib.Path(__file__).parents[2]
OTHER_BACKENDS = sorted({"tensorflow", "torch", "jax"} - {keras.backend.backend()})
LABELS = ("jump", "run", "größer werden")


def small_model(**changes):
    arguments = {"width": 16, "classes": 3, "num_segments": 2, "labels": LABELS}
    return keras_tdn.TDNResNet((1, 1, 1, 1), **{**arguments, **changes})


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small_model()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return save_preset(model, tmp_path_factory.mktemp("saved") / "preset")


@pytest.fixture
def preset(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "preset")


def config_of(model):
    """A model's config as a preset states it: with the clip specification spelled out."""
    return model.get_config() | {"clip_spec": model.clip_spec.to_config()}


def scores(model):
    frames = np.random.default_rng(0).integers(0, 256, (2, 10, 64, 48, 3), np.uint8)
    return keras.ops.convert_to_numpy(model(frames))


def rewrite(preset, change):
    """Changes a preset's config and puts its hashes right."""
    config = json.loads((preset / "config.json").read_text())
    change(config)
    (preset / "config.json").write_text(json.dumps(config))
    reseal(preset)


def test_training_leaves_nothing_but_weights_in_the_file(preset, tmp_path):
    model = load_preset(preset)
    model.compile(keras.optimizers.SGD(0.0, momentum=0.9), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    trained = save_preset(model, tmp_path / "trained")
    assert sha256(trained / "model.weights.h5") == sha256(preset / "model.weights.h5")


def test_comes_back_whole(model, preset):
    loaded = load_preset(preset)
    np.testing.assert_array_equal(scores(loaded), scores(model))
    assert loaded.get_config() == config_of(model)
    assert loaded.labels == LABELS
    assert loaded.clip_spec == model.clip_spec
    assert sorted(path.name for path in preset.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "config.json",
        "model.weights.h5",
        "recorded_logits.json",
    ]
    assert [path.name for path in preset.parent.iterdir()] == ["preset"]


def test_every_argument_comes_back(tmp_path):
    model = keras_tdn.TDNResNet(
        (1, 2, 1, 1),
        width=8,
        short_term=True,
        long_term=False,
        temporal_shift=False,
        include_top=False,
        input_shape=(12, 64, 96, 3),
        pooling="max",
        classes=7,
        classifier_activation=None,
        num_segments=4,
        frames_per_segment=3,
        dropout_rate=0.25,
        include_preprocessing=False,
        appearance_weight=0.6,
        motion_weight=0.3,
        labels=list("abcdefg"),
        dtype="mixed_bfloat16",
        name="other",
        trainable=False,
    )
    spec = keras_tdn.ClipSpec(4, 3, 64, 96, 80, keras_tdn.Normalization((0.5,) * 3, (0.2,) * 3))
    model.clip_spec = spec
    loaded = load_preset(save_preset(model, tmp_path / "preset"))
    assert loaded.get_config() == config_of(model)
    assert loaded.clip_spec == spec


def test_frozen_layers_stay_frozen_and_keep_their_values(tmp_path):
    model = small_model()
    for name in ("stem_norm", "stage2_block0_long_term_tdm"):
        model.get_layer(name).trainable = False
    loaded = load_preset(save_preset(model, tmp_path / "preset"))
    assert not loaded.get_layer("stem_norm").trainable
    np.testing.assert_array_equal(scores(loaded), scores(model))


def test_labels_can_be_given_when_saving(model, tmp_path):
    save_preset(model, tmp_path / "preset", labels=["a", "b", "c"])
    assert load_preset(tmp_path / "preset").labels == ("a", "b", "c")
    assert model.labels == LABELS
    with pytest.raises(ValueError, match="one name for each of the 3 classes"):
        save_preset(model, tmp_path / "other", labels=["a"])


@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_every_other_backend_gives_the_same_scores(model, preset, tmp_path, backend):
    skip_without(backend)
    np.save(tmp_path / "scores.npy", scores(model))
    code = f"""
import os
os.environ["KERAS_BACKEND"] = {backend!r}
import keras, numpy as np
from keras_tdn.pretrained import load_preset
frames = np.random.default_rng(0).integers(0, 256, (2, 10, 64, 48, 3), np.uint8)
scores = load_preset({str(preset)!r}).predict_on_batch(frames)
expected = np.load({str(tmp_path / "scores.npy")!r})
np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_hashes_are_those_of_sha256sum(preset):
    result = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=preset, capture_output=True, text=True, check=True
    )
    assert result.stdout == "".join(f"{name}: OK\n" for name in FILES)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "recorded_logits.json"])
def test_a_changed_file_is_refused(preset, name):
    content = bytearray((preset / name).read_bytes())
    content[len(content) // 2] ^= 1
    (preset / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"changed or damaged: {name} has the SHA-256"):
        load_preset(preset)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "SHA256SUMS"])
def test_a_missing_file_is_named(preset, name):
    (preset / name).unlink()
    with pytest.raises(ValueError, match=f"There is no preset at .*Missing: {name}"):
        load_preset(preset)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.splitlines()[0] + "\n",
        lambda text: text + "nonsense\n",
        lambda text: text + "0" * 64 + "  model.py\n",
        lambda text: text + text,
    ],
    ids=["empty", "unlisted", "nonsense", "foreign", "twice"],
)
def test_hashes_that_do_not_fit_are_refused(preset, change):
    sums = preset / "SHA256SUMS"
    sums.write_text(change(sums.read_text()))
    with pytest.raises(ValueError, match="SHA256SUMS that does not fit"):
        load_preset(preset)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/passwd", "a\\b", "a\0b", "./config.json"])
def test_names_that_leave_the_folder_are_refused(preset, name):
    with (preset / "SHA256SUMS").open("a") as sums:
        sums.write("0" * 64 + f"  {name}\n")
    with pytest.raises(ValueError, match="is a relative path inside it"):
        load_preset(preset)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "SHA256SUMS"])
def test_links_out_of_the_folder_are_refused(preset, tmp_path, name):
    (preset / name).rename(tmp_path / "outside")
    (preset / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match=f"{name} of the preset .* is a link to"):
        load_preset(preset)


def test_the_hubs_cache_is_read_as_a_folder(model, preset, tmp_path):
    blobs, snapshot = tmp_path / "hub/blobs", tmp_path / "hub/snapshots/abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in preset.iterdir():
        path.rename(blobs / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    np.testing.assert_array_equal(scores(load_preset(snapshot)), scores(model))


def test_an_endless_text_is_not_read(preset):
    with (preset / "config.json").open("r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(ValueError, match="of 17179869184 bytes, where a few kilobytes"):
        load_preset(preset)


def test_no_preset_at_all(tmp_path):
    with pytest.raises(ValueError, match="There is no preset at"):
        load_preset(tmp_path / "none")


def _set(path, value):
    def change(config):
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return change


ARGS = ("model", "arguments")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(["extra"], 1), r"config\.json must have the entries .*unknown: \['extra'\]"),
        (lambda config: config.pop("clip_spec"), r"unknown: \['clip_spec'\]"),
        (_set(["format_version"], 1), "format_version=1"),
        (_set(["format_version"], 3), "upgrade keras_tdn.*format_version=3"),
        (_set(["model", "class_name"], "Lambda"), "class_name='Lambda'"),
        (_set(["model", "module"], "os"), r"the model must have .*unknown: \['module'\]"),
        (_set([*ARGS, "weights"], "imagenet"), r"unknown: \['weights'\]"),
        (lambda config: config["model"]["arguments"].pop("width"), r"unknown: \['width'\]"),
        (_set([*ARGS, "width"], "16"), "another kind of value .*width='16'"),
        (_set([*ARGS, "width"], True), "another kind of value .*width=True"),
        (_set([*ARGS, "dtype"], {"class_name": "DTypePolicy"}), "another kind of value .*dtype="),
        (_set([*ARGS, "dtype"], "float31"), "float31"),
        (_set([*ARGS, "classifier_activation"], "no_such"), "no_such"),
        (_set([*ARGS, "num_segments"], 0), "num_segments=0"),
        (_set(["labels"], ["a"]), "one name for each of the 3 classes"),
        (_set(["labels"], "abc"), "another kind of value .*labels='abc'"),
        (_set([*ARGS, "width"], 1024), "from different models, or damaged"),
        (_set([*ARGS, "classes"], 10**9), "from different models, or damaged"),
        (_set([*ARGS, "stage_depths"], [10**9] * 4), "from different models, or damaged"),
        (_set(["card", "licence"], 3), "a text for `licence`"),
        (_set(["card", "extra"], 3), "the card must have the entries"),
        (_set(["card", "measured"], 3), "'measured' must be a list"),
        (_set(["card", "measured"], [3]), "the measured accuracy must have"),
        (_set(["card"], []), "the card must have the entries"),
        (_set([*ARGS, "frozen_layers"], ["none"]), "none"),
        (_set(["clip_spec", "num_segments"], 3), "takes 2 segments"),
        (_set(["clip_spec", "height"], "224"), "height='224'"),
        (_set(["clip_spec", "normalization"], {"mean": 1, "std": 2}), "another kind of value"),
        (_set(["clip_spec"], [1]), "the clip_spec must have"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(preset, change, message):
    rewrite(preset, change)
    with pytest.raises(ValueError, match=message):
        load_preset(preset)


@pytest.mark.parametrize("content", [b"", b"[1", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_not_json_is_refused(preset, content):
    (preset / "config.json").write_bytes(content)
    write_sums(preset)
    with pytest.raises(ValueError, match="config must be JSON"):
        load_preset(preset)


def test_weights_of_another_model_are_refused(preset):
    rewrite(preset, _set([*ARGS, "stage_depths"], [1, 1, 2, 1]))
    with pytest.raises(ValueError, match=r"missing from the file .*stage3_block1"):
        load_preset(preset)


def test_the_config_knows_every_argument():
    assert {*ARGUMENTS, "clip_spec"} - {"frozen_layers"} == set(small_model().get_config())


def test_existing_places_are_kept(model, preset, tmp_path):
    with pytest.raises(ValueError, match=r"exists\. Choose another place, or pass overwrite"):
        save_preset(model, preset)
    save_preset(model, preset, labels=["a", "b", "c"], overwrite=True)
    assert load_preset(preset).labels == ("a", "b", "c")

    (preset / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"is more than a preset: it has thesis\.tex"):
        save_preset(model, preset, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is more than a preset"):
        save_preset(model, tmp_path / "file", overwrite=True)


def test_a_failure_leaves_nothing_behind(model, preset, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    before = (preset / "SHA256SUMS").read_bytes()
    monkeypatch.setattr("keras_tdn.pretrained.presets.write_weights_file", fail)
    with pytest.raises(OSError, match="No space"):
        save_preset(model, preset, overwrite=True)
    assert (preset / "SHA256SUMS").read_bytes() == before
    assert [path.name for path in preset.parent.iterdir()] == ["preset"]


def test_other_models_are_refused(tmp_path):
    class Mine(keras_tdn.TDNResNet):
        pass

    with pytest.raises(ValueError, match=r"A preset holds a TDNResNet.*Received: Mine"):
        save_preset(Mine((1, 1, 1, 1), width=16), tmp_path / "preset")
    with pytest.raises(ValueError, match=r"another kind of value .*classifier_activation"):
        save_preset(small_model(classifier_activation=keras.ops.tanh), tmp_path / "preset")


CARD = PresetCard(
    dataset="mine",
    licence="Apache-2.0",
    source="https://example.org",
    published=(Accuracy(8, 3, 10, 76.6, 92.8),),
    measured=(Accuracy(8, 1, 1, 74, 91),),
    citation="@article{x}",
)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "changes", [{}, {"include_top": False, "labels": None}, {"dtype": "bfloat16"}]
)
def test_saving_what_was_loaded_gives_the_same_files(tmp_path, changes):
    first = save_preset(small_model(**changes), tmp_path / "first", card=CARD)
    keras.utils.set_random_seed(1)
    second = save_preset(load_preset(first), tmp_path / "second")
    assert contents(first) == contents(second)


def test_saving_twice_gives_the_same_files(model, tmp_path):
    first, second = (save_preset(model, tmp_path / name, card=CARD) for name in "ab")
    assert contents(first) == contents(second)


def test_plain_keras_reads_the_weights(model, preset):
    other = small_model()
    # Keras reads one file, and labels and clip specification come from that beside it.
    other.load_weights(preset / "model.weights.h5")
    assert (other.labels, other.clip_spec) == (model.labels, model.clip_spec)
    np.testing.assert_array_equal(scores(other), scores(model))


def test_a_card_belongs_to_the_weights(model, tmp_path):
    first = save_preset(model, tmp_path / "first", card=CARD)
    loaded = load_preset(first)
    assert "Apache-2.0" in (first / "README.md").read_text()
    loaded.get_layer("classifier").bias.assign([1.0, 2.0, 3.0])
    second = save_preset(loaded, tmp_path / "second")
    assert json.loads((second / "config.json").read_text())["card"]["licence"] is None
    assert contents(first)["recorded_logits.json"] != contents(second)["recorded_logits.json"]


def test_the_model_card(model, tmp_path):
    card = (save_preset(model, tmp_path / "preset", card=CARD) / "README.md").read_text()
    metadata = card.split("---\n")[1]
    assert "library_name: keras_tdn\n" in metadata
    assert "pipeline_tag: video-classification\n" in metadata
    assert 'license: "apache-2.0"\n' in metadata
    assert "3: jump, run, größer werden" in card
    assert "76.6 / 92.8 % at 8x3x10" in card
    assert "74.0 / 91.0 % at 8x1x1" in card
    assert "@article{x}" in card


def test_an_edited_model_card_does_not_keep_a_preset_from_loading(preset):
    (preset / "README.md").write_text("edited on the Hub")
    load_preset(preset)


def test_nan_is_not_saved(tmp_path):
    model = small_model()
    model.get_layer("classifier").bias.assign([np.nan] * 3)
    with pytest.raises(ValueError, match="computes NaN or infinity"):
        save_preset(model, tmp_path / "preset")
    assert not (tmp_path / "preset").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("seed"), "expected the entries"),
        (lambda record: record.update(logits=[]), "need a seed"),
        (lambda record: record.update(logits=[float("nan")]), "need a seed"),
        (lambda record: record.update(logits=3), "not iterable"),
        (lambda record: record.update(shape=[1]), "need a seed"),
        (lambda record: record.update(tolerance=1.0), "need a seed"),
        (lambda record: record.update(labels_sha256="0" * 64), "reordered or edited afterwards"),
        (lambda record: record.update(config_sha256="0" * 64), "another config.json than"),
        (lambda record: record.update(weights_sha256="0" * 64), "other weights than"),
    ],
)
def test_recorded_logits_that_do_not_fit_are_refused(preset, change, message):
    record = json.loads((preset / "recorded_logits.json").read_text())
    change(record)
    (preset / "recorded_logits.json").write_text(json.dumps(record))
    write_sums(preset)
    with pytest.raises(ValueError, match=message):
        load_preset(preset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, 50, 60), "positive integer for `num_segments`"),
        ((8, 1, 1, 101, 60), "`top1` in percent"),
        ((8, 1, 1, 50, float("nan")), "`top5` in percent"),
    ],
)
def test_accuracy_is_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Accuracy(*arguments)


def test_a_card_is_checked():
    with pytest.raises(ValueError, match="a text for `licence`"):
        PresetCard(licence=" ")
    with pytest.raises(ValueError, match="a tuple of `Accuracy` for `published`"):
        PresetCard(published=(76.6,))
