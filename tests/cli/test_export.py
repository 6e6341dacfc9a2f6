import pytest

import keras_tdn
from keras_tdn.cli import main

LABELS = ("fall", "geton", "roll over")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, num_segments=1, input_shape=(5, 32, 32, 3), classes=3
    )
    model.save(folder / "model.keras")
    keras_tdn.pretrained.save_preset(model, folder / "unnamed")
    keras_tdn.pretrained.save_preset(model, folder / "preset", labels=LABELS)
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return folder


def arguments(folder, weights, output, *options):
    return ["export", "--weights", str(folder / weights), "--output", str(output), *options]


def test_a_preset(folder, tmp_path, capsys, monkeypatch):
    """`tests/export/test_other_backend.py` runs the command for real."""
    calls = []

    def export(model, path, **arguments):
        calls.append((model.labels, path, arguments))
        (tmp_path / "served" / "1" / "variables").mkdir(parents=True)
        (tmp_path / "served" / "1" / "variables" / "all").write_bytes(bytes(2_340_000))
        return tmp_path / "served" / "1"

    monkeypatch.setattr(keras_tdn.export, "export_saved_model", export)
    output = str(tmp_path / "served" / "1")
    assert main(arguments(folder, "preset", output, "--format", "saved_model", "--top", "2")) == 0
    assert calls == [
        (LABELS, output, {"top": 2, "labels": None, "dtype": "float32", "warm_up": None})
    ]
    clips = "clips uint8 (batch, 5, 32, 32, 3)"
    assert capsys.readouterr().out.splitlines() == [
        f"serving_default  {clips} -> scores, labels, top_scores",
        "encoded_frames   encoded_frames JPEG (batch, 5) -> scores, labels, top_scores",
        f"features         {clips} -> features",
        "describe         request string (batch,) -> manifest",
        f"Wrote {output} (2.3 MB)",
    ]


def test_labels_of_a_file(folder, monkeypatch):
    calls = []

    def export(model, path, **arguments):
        calls.append(arguments["labels"])
        return folder

    monkeypatch.setattr(keras_tdn.export, "export_saved_model", export)
    named = ["--labels", str(folder / "labels.txt")]
    assert main(arguments(folder, "model.keras", folder / "7", *named)) == 0
    assert calls == [LABELS]


@pytest.mark.parametrize(
    ("weights", "output", "options", "message"),
    [
        ("preset", "model", [], "is a positive integer"),
        ("preset", "preset/1/2", ["--top", "0"], "`top` must be an integer of at least 1"),
        ("nowhere", "1", [], "There are no weights"),
        ("nowhere", "model", [], "is a positive integer"),
        ("unnamed", "1", [], "on the command line --labels"),
        ("preset", "1", ["--labels", "ucf101"], "one name for each of the 3 classes"),
        ("preset", "labels.txt/1", [], "is not a folder"),
        ("preset", "1", ["--dtype", "int8"], "Received: dtype='int8'"),
        ("preset", "a", ["--format", "litert", "--dtype", "bfloat16"], "'float16', 'int8']"),
        ("preset", "1", ["--segments", "8"], "--segments is for a .weights.h5 file"),
    ],
)
def test_errors(folder, capsys, weights, output, options, message):
    assert main(arguments(folder, weights, folder / output, *options)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("keras-tdn: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_another_format(folder, tmp_path, capsys, monkeypatch):
    calls = []

    def export(model, path, format, **arguments):
        calls.append((model.labels, path, format, arguments))
        (tmp_path / "model.tflite").write_bytes(bytes(1_230_000))
        return tmp_path

    monkeypatch.setattr(keras_tdn.export, "export_portable", export)
    options = ["--format", "litert", "--dtype", "int8"]
    assert main(arguments(folder, "preset", "anywhere", *options)) == 0
    assert calls == [(LABELS, "anywhere", "litert", {"dtype": "int8", "labels": None})]
    assert capsys.readouterr().out.splitlines() == [
        "model.tflite  clips uint8 (batch, 5, 32, 32, 3) -> scores",
        f"Wrote {tmp_path} (1.2 MB)",
    ]


def test_unknown_formats_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--weights", "preset", "--output", "1", "--format", "torchscript"])
    assert "invalid choice: 'torchscript'" in capsys.readouterr().err
