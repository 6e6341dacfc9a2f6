"""What `verify_preset` catches, and `push_preset` refuses."""

import hashlib
import json
import os
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
from keras_tdn.labels import load_labels
from keras_tdn.pretrained import PresetCard, push_preset, save_preset, verify_preset
from keras_tdn.pretrained.preset_files import FILES
from keras_tdn.pretrained.recorded_logits import make_clip

REPOSITORY = pathlib.Path(__file__).parents[2]
UCF101 = load_labels("ucf101")
SWAPPED = (UCF101[1], UCF101[0], *UCF101[2:])


def small_model(**changes):
    keras.utils.set_random_seed(0)
    arguments = {"width": 8, "classes": 101, "num_segments": 2, "labels": UCF101, **changes}
    return keras_tdn.TDNResNet((1, 1, 1, 1), **arguments)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "preset"
    return save_preset(small_model(), folder, card=PresetCard(dataset="ucf101"))


@pytest.fixture
def preset(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "preset")


def failures(source):
    return {check.name: check.detail for check in verify_preset(source).checks if not check.passed}


def set_labels(preset, labels, dataset="ucf101"):
    config = json.loads((preset / "config.json").read_text())
    config["labels"], config["card"]["dataset"] = list(labels), dataset
    (preset / "config.json").write_text(json.dumps(config))


def test_a_good_preset_passes(preset):
    report = verify_preset(preset)
    assert report.passed
    assert [check.name for check in report.checks] == [
        *FILES,
        "belongs together",
        "labels",
        "logits of the seeded clip",
    ]
    assert "101, those of ucf101 in their order" in str(report)
    assert "FAIL" not in str(report)


@pytest.mark.parametrize(
    "changes",
    [
        {"include_top": False, "labels": None, "classes": 400},
        {"dtype": "mixed_bfloat16"},
        {"input_shape": (10, 64, 48, 3)},
        {"include_preprocessing": False},
        {"classifier_activation": None},
    ],
)
def test_every_kind_of_model_passes(tmp_path, changes):
    assert not failures(save_preset(small_model(**changes), tmp_path / "preset"))


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_fails(preset, name):
    with (preset / name).open("ab") as file:
        file.write(b" ")
    assert "was changed or damaged" in failures(preset)[name]


def test_labels_edited_and_nothing_else(preset):
    set_labels(preset, SWAPPED)
    assert list(failures(preset)) == ["config.json"]


def test_labels_edited_and_the_hashes_put_right(preset):
    set_labels(preset, SWAPPED)
    write_sums(preset)
    assert "was reordered or edited afterwards" in failures(preset)["belongs together"]


@pytest.mark.parametrize(
    ("labels", "dataset", "told"),
    [
        (SWAPPED, "ucf101", "not those of ucf101: first at 0"),
        (SWAPPED, None, "those of ucf101 in another order: first at 0"),
        (("Juggling", *UCF101[1:]), "ucf101", "not those of ucf101: first at 0, 'Juggling'"),
        (("x", *UCF101[1:-1], "x"), None, "a name occurs twice"),
    ],
)
def test_labels_edited_and_everything_recorded_anew(preset, labels, dataset, told):
    set_labels(preset, labels, dataset)
    reseal(preset)
    assert told in failures(preset)["labels"]


def test_a_known_data_set_needs_its_labels(tmp_path):
    model = small_model(labels=None)
    folder = save_preset(model, tmp_path / "preset", card=PresetCard(dataset="ucf101"))
    assert failures(folder)["labels"] == "none, and the card says ucf101"


def test_other_weights_with_every_hash_put_right(preset, tmp_path):
    keras.utils.set_random_seed(1)
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=101, num_segments=2, labels=UCF101)
    other = save_preset(model, tmp_path / "other")
    (preset / "model.weights.h5").write_bytes((other / "model.weights.h5").read_bytes())
    reseal(preset)
    assert "relative difference" in failures(preset)["logits of the seeded clip"]


def test_another_clip_is_not_compared(preset):
    record = json.loads((preset / "recorded_logits.json").read_text())
    record["clip_sha256"] = "0" * 64
    (preset / "recorded_logits.json").write_text(json.dumps(record))
    write_sums(preset)
    assert "another clip was recorded" in failures(preset)["logits of the seeded clip"]


def test_the_clip_never_changes():
    clip = make_clip(small_model())
    digest = hashlib.sha256(clip.tobytes()).hexdigest()
    assert clip.shape == (1, 10, 96, 112, 3)
    assert digest == "1d93daee7cd1cced0a060aef1aec4f2c9916b2db73c0799e24b15277ec0aaf1f"


@pytest.mark.parametrize(
    "backend", sorted({"tensorflow", "torch", "jax"} - {keras.config.backend()})
)
def test_a_preset_passes_on_every_other_backend(preset, backend):
    skip_without(backend)
    code = f"""
import keras_tdn
report = keras_tdn.pretrained.verify_preset({str(preset)!r})
print(report)
raise SystemExit(0 if report.passed else 1)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_dry_run_tells_what_would_go(preset):
    (preset / "notes.txt").write_text("stays here")
    report = push_preset(preset, "org/net")
    assert report.commit is None
    assert [file.name for file in report.files] == [*FILES, "SHA256SUMS"]
    assert report.sums_sha256 == sha256(preset / "SHA256SUMS")
    assert "To org/net would go, and nothing else:" in str(report)


def test_what_fails_a_check_is_not_pushed(preset):
    (preset / "README.md").write_text("edited")
    with pytest.raises(ValueError, match="is not published, because it fails a check"):
        push_preset(preset, "org/net", dry_run=False)


@pytest.mark.parametrize("repo", ["net", "a/b/c", "../net"])
def test_a_malformed_repository(preset, repo):
    with pytest.raises(ValueError, match="is written 'hf://organisation/name'"):
        push_preset(preset, repo)
    with pytest.raises(ValueError, match="branch to push to as `revision`"):
        push_preset(preset, "org/net@main")


def test_logits_are_those_of_the_model(preset):
    model = keras_tdn.pretrained.load_preset(preset)
    recorded = json.loads((preset / "recorded_logits.json").read_text())["logits"]
    scores = keras.ops.convert_to_numpy(model(make_clip(model)))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.softmax(np.array([recorded], np.float32))),
        scores,
        atol=1e-6,
    )
