import json

import pytest

import keras_tdn
import keras_tdn.models
from keras_tdn.cli import main


def small_model(**arguments):
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=16, **arguments)


@pytest.fixture(autouse=True)
def small_resnet50(monkeypatch):
    monkeypatch.setattr(keras_tdn.models, "TDNResNet50", small_model)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile") / "preset"
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=3, num_segments=2)
    model.clip_spec = keras_tdn.ClipSpec(2, 5, 32, 48, 32)
    keras_tdn.pretrained.save_preset(model, folder)
    return str(folder)


def test_tables_and_json(tmp_path, capsys):
    file = tmp_path / "profile.json"
    options = ["--segments", "2", "--size", "64x32", "--frames-per-segment", "3", "--classes", "4"]
    timing = ["--batch-sizes", "1,2", "--repeats", "1"]
    assert main(["profile", *options, *timing, "--report", str(file)]) == 0
    captured = capsys.readouterr()
    assert "one clip of 6 frames of 32x64 pixels" in captured.out
    assert "long-term TDM" in captured.out
    assert "clips/s" in captured.out
    assert captured.err == ""
    told = json.loads(file.read_text())
    assert told["clip_shape"] == [6, 64, 32, 3]
    assert [latency["batch_size"] for latency in told["latencies"]] == [1, 2]


def test_weights_bring_their_model_and_size(preset, capsys):
    assert main(["profile", "--weights", preset, "--segments", "2", "--no-latency"]) == 0
    told = capsys.readouterr().out
    assert "one clip of 10 frames of 48x32 pixels" in told
    assert "clips/s" not in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "20"], "at least 32 pixels"),
        (["--size", "large"], "HEIGHTxWIDTH"),
        (["--segments", "0"], "integer of at least 1 for `num_segments`"),
        (["--frames-per-segment", "1"], "integer of at least 2 for `frames_per_segment`"),
        (["--classes", "-1"], "integer of at least 1 for `classes`"),
        (["--batch-sizes", "1,x"], "numbers with commas"),
        (["--batch-sizes", "0", "--size", "32"], "an integer of at least 1 for `batch_sizes`"),
        (["--repeats", "0", "--size", "32"], "an integer of at least 1 for `repeats`"),
        (["--weights", "PRESET", "--segments", "8"], "--segments 8 does not fit the weights"),
        (["--weights", "PRESET", "--model", "tdn_resnet101"], "has stage_depths=(1, 1, 1, 1)"),
        (["--weights", "PRESET", "--size", "16"], "at least 32 pixels"),
        (["--weights", "none/at/all"], "none/at/all"),
        (["--report", "FOLDER"], "is a folder"),
    ],
)
def test_errors_are_one_line(options, message, preset, tmp_path, capsys):
    places = {"PRESET": preset, "FOLDER": str(tmp_path)}
    assert main(["profile", *(places.get(option, option) for option in options)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_unknown_model(capsys):
    with pytest.raises(SystemExit):
        main(["profile", "--model", "resnet9"])
    assert "invalid choice: 'resnet9'" in capsys.readouterr().err
