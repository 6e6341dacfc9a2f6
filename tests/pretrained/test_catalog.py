import pathlib
import runpy

import goldens
import numpy as np
import official_checkpoints
import pytest
from forked_python import run_python

import keras_tdn
from keras_tdn.labels import load_labels
from keras_tdn.pretrained import convert_official_checkpoint, load_preset, save_preset
from keras_tdn.pretrained.catalog import CATALOG, CLASSES, entry_by_name, presets_folder

REPOSITORY = pathlib.Path(__file__).parents[2]
SCRIPT = REPOSITORY / "weights" / "write_models_table.py"
DATASETS = ("something_something_v1", "something_something_v2", "kinetics400")


@pytest.fixture(autouse=True)
def presets(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_PRESETS", str(tmp_path / "presets"))
    monkeypatch.delenv("KERAS_TDN_HUB", raising=False)
    return tmp_path / "presets"


def test_the_ten_checkpoints_are_there():
    assert [entry.name for entry in CATALOG] == [
        "tdn_resnet50_8_something_something_v1",
        "tdn_resnet50_16_something_something_v1",
        "tdn_resnet50_8_something_something_v2",
        "tdn_resnet50_16_something_something_v2",
        "tdn_resnet101_8_something_something_v2",
        "tdn_resnet101_16_something_something_v2",
        "tdn_resnet50_8_kinetics400",
        "tdn_resnet50_16_kinetics400",
        "tdn_resnet101_8_kinetics400",
        "tdn_resnet101_16_kinetics400",
    ]
    assert len({entry.checkpoint for entry in CATALOG}) == 10
    for entry in CATALOG:
        assert entry.published[0].num_segments == entry.num_segments
        assert entry.classes == len(load_labels(entry.dataset))
        assert entry_by_name(entry.name) is entry


def test_published_accuracy():
    told = {entry.name: [str(accuracy) for accuracy in entry.published] for entry in CATALOG}
    assert told["tdn_resnet50_8_something_something_v1"] == ["52.3 / 80.6 % at 8x1x1"]
    assert told["tdn_resnet101_16_kinetics400"] == ["78.5 / 93.9 % at 16x3x10"]
    assert told["tdn_resnet101_16_something_something_v2"] == [
        "66.9 / 90.9 % at 16x1x1",
        "68.2 / 91.6 % at 16x3x1",
    ]


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_not_hosted_says_so_and_what_to_do(name, presets):
    with pytest.raises(ValueError, match="are not hosted yet: no repository of ours") as info:
        keras_tdn.TDNResNet50(weights=name, classes=CLASSES[name], num_segments=16)
    entry = entry_by_name(f"tdn_resnet50_16_{name}")
    assert entry.checkpoint in str(info.value)
    assert 'pip install "keras-tdn[convert]"' in str(info.value)
    command = f"keras-tdn convert best.pth.tar '{presets / entry.name}' --segments 16"
    assert f"{command} --labels {name}" in str(info.value)


def test_names_of_entries_and_data_sets_for_load_preset():
    with pytest.raises(ValueError, match="'tdn_resnet50_8_kinetics400' are not hosted yet"):
        load_preset("tdn_resnet50_8_kinetics400")
    with pytest.raises(ValueError, match="data set of several presets: pass one of tdn_resnet50_8"):
        load_preset("kinetics400")


def test_what_was_never_published_says_what_was():
    with pytest.raises(ValueError, match=r"are published for TDNResNet50\. Received"):
        keras_tdn.TDNResNet101(weights="something_something_v1", classes=174)
    with pytest.raises(ValueError, match="published for TDNResNet101 and TDNResNet50"):
        keras_tdn.TDNResNet((1, 1, 1, 1), weights="kinetics400")


def test_after_the_conversion_the_same_call_works(presets, tmp_path):
    tensors = goldens.state("resnet50", 400)
    checkpoint = official_checkpoints.save(tmp_path / "best.pth.tar", tensors)
    target = presets / "tdn_resnet50_16_kinetics400"
    for segments, labels in ((8, None), (16, load_labels("kinetics400")[::-1])):
        with pytest.raises(ValueError, match="is called 'tdn_resnet50_16_kinetics400', like"):
            convert_official_checkpoint(
                checkpoint, target, num_segments=segments, labels=labels, verify=False
            )
    report = convert_official_checkpoint(checkpoint, target, num_segments=16, verify=False)
    assert report.labels == load_labels("kinetics400")
    model = keras_tdn.TDNResNet50(weights="kinetics400", num_segments=16)
    assert model.labels[17] == "bee keeping"
    for ours, theirs in zip(model.get_weights(), report.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert '"top1": 77.5' in (target / "config.json").read_text()

    with pytest.warns(UserWarning, match="num_segments=16, the model has 14") as caught:
        model = keras_tdn.TDNResNet50(weights="kinetics400", num_segments=14)
    assert "Published: 77.5 / 93.2 % at 16x3x10." in str(caught[0].message)
    assert model.get_layer("stem_fusion").appearance_weight == 0.75
    with pytest.warns(UserWarning, match="they have 400 classes, the model 6"):
        keras_tdn.TDNResNet50(weights="kinetics400", num_segments=16, classes=6)
    with pytest.raises(ValueError, match="`classifier_activation` must be 'softmax'"):
        keras_tdn.TDNResNet50(
            weights="kinetics400", num_segments=16, classifier_activation="sigmoid"
        )


def test_a_folder_that_is_another_model_than_its_name_is_refused(presets):
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=2, labels=["a", "b"])
    save_preset(model, presets / "tdn_resnet50_8_kinetics400")
    with pytest.raises(ValueError, match=r"is not 'tdn_resnet50_8_kinetics400'") as info:
        keras_tdn.TDNResNet50(weights="kinetics400")
    assert "width is 16 and must be 64" in str(info.value)
    assert "its labels are not those of kinetics400" in str(info.value)


def test_the_folder_of_presets(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_TDN_PRESETS")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert presets_folder() == tmp_path / "keras_tdn" / "presets"


@pytest.fixture
def table():
    return runpy.run_path(str(SCRIPT))


def test_the_table_of_models_is_current(table):
    files = [REPOSITORY / "weights" / "models.md", REPOSITORY / "README.md"]
    files = [str(path) for path in files if table["BEGIN"] in path.read_text()]
    assert files
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], None, '__main__')"
    )
    result = run_python(code, SCRIPT, "--check", *files)
    assert result.returncode == 0, result.stderr


def test_the_table_is_written_between_its_markers(table):
    begin, end, replace_table = table["BEGIN"], table["END"], table["replace_table"]
    text = replace_table(f"before\n{begin}\nold\n{end}\nafter\n")
    assert text == f"before\n{begin}\n{table['format_models_table']()}{end}\nafter\n"
    assert replace_table(text) == text
    for broken in ("", begin, f"{end}{begin}", f"{begin}{begin}{end}"):
        with pytest.raises(ValueError, match="is written between one"):
            replace_table(broken)


def test_the_table_has_every_published_number(table):
    rows = table["format_models_table"]().splitlines()[2:]
    assert len(rows) == sum(len(entry.published) for entry in CATALOG) == 12
    assert "| `TDNResNet101` | Kinetics-400 | 16x3x10 | 78.5 / 93.9 | not yet |" in rows[-1]
