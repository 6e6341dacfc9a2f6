import dataclasses
import json
import types

import keras
import pytest
from commands import run_in_fresh_process
from synthetic_videos import encode_audio, encode_video

import keras_tdn
import keras_tdn.models
from keras_tdn.cli import _parser, loading, main
from keras_tdn.pretrained.weights_file import load_model_file
from keras_tdn.training.callbacks import Checkpoints

LABELS = ("fall", "geton", "roll over")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video, a model in files of every kind, and labels."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "video.mp4").write_bytes(encode_video(30))
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    model = small_model(classes=3, num_segments=4, weights=None)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    # As Keras writes it, without a word on the model.
    keras.Model.save_weights(model, folder / "bare.weights.h5")
    keras_tdn.pretrained.save_preset(model, folder / "preset", labels=LABELS)
    return folder


def small_model(**arguments):
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=16, input_shape=(20, 32, 32, 3), **arguments)


@pytest.fixture
def small_resnet50(monkeypatch):
    monkeypatch.setattr(keras_tdn.models, "TDNResNet50", small_model)


def paths(folder, weights, *options):
    return ["predict", str(folder / "video.mp4"), "--weights", str(folder / weights), *options]


def test_keras_file(folder, capsys):
    assert main(paths(folder, "model.keras", "--labels", str(folder / "labels.txt"))) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 3
    # Labels are padded to the longest, so that the scores stand below each other.
    assert {line[:9].rstrip() for line in lines} == set(LABELS)
    scores = [float(line[9:]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert captured.err == ""


def test_json(folder, capsys):
    assert main(paths(folder, "model.keras", "--json", "--top", "2")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["video"] == str(folder / "video.mp4")
    assert result["weights"] == str(folder / "model.keras")
    model = load_model_file(str(folder / "model.keras"))
    expected = keras_tdn.prediction.predict_video(model, folder / "video.mp4", top=2)
    assert [item["index"] for item in result["predictions"]] == [item.index for item in expected]
    assert [item["label"] for item in result["predictions"]] == [item.label for item in expected]
    assert result["predictions"][0]["score"] == pytest.approx(expected[0].score, abs=1e-6)


def predictions_of(folder, capsys, weights, *options):
    assert main(paths(folder, weights, "--json", *options)) == 0
    return json.loads(capsys.readouterr().out)["predictions"]


def test_weights_files(folder, capsys, small_resnet50):
    expected = predictions_of(folder, capsys, "model.keras")
    options = ["--model", "tdn_resnet50", "--segments", "4"]
    labels = str(folder / "labels.txt")
    assert predictions_of(folder, capsys, "bare.weights.h5", *options, "--classes", "3") == expected
    named = predictions_of(folder, capsys, "bare.weights.h5", *options, "--labels", labels)
    assert [item["score"] for item in named] == [item["score"] for item in expected]
    assert [item["label"] for item in named] == [LABELS[item["index"]] for item in expected]
    # One that says what it is for needs none of them, and takes those that are right.
    assert predictions_of(folder, capsys, "model.weights.h5") == expected
    options = ["--segments", "4", "--labels", labels]
    assert predictions_of(folder, capsys, "model.weights.h5", *options) == named


def test_clips_are_cut_as_in_training(tmp_path, capsys):
    """What a training leaves gives the scores that it measured, however the weights are named."""
    spec = keras_tdn.ClipSpec(2, 5, 48, 64, 56)
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, classes=3, num_segments=2, labels=LABELS, clip_spec=spec
    )
    model.get_layer("classifier").kernel.assign(300 * model.get_layer("classifier").kernel)
    model.compile(keras.optimizers.SGD())
    checkpoints = Checkpoints(tmp_path)
    checkpoints.set_model(model)
    checkpoints.on_epoch_end(0, {"val_top1": 0.5})
    model.save(tmp_path / "model.keras")
    (tmp_path / "video.mp4").write_bytes(encode_video(30))
    expected = keras_tdn.predict_video(model, tmp_path / "video.mp4")
    for weights in ("best.weights.h5", "last.weights.h5", "model.keras"):
        predictions = predictions_of(tmp_path, capsys, weights)
        assert [item["label"] for item in predictions] == [item.label for item in expected]
        scores = [item["score"] for item in predictions]
        assert scores == pytest.approx([item.score for item in expected], abs=1e-6)
    other = predictions_of(tmp_path, capsys, "model.keras", "--size", "32", "--short-side", "40")
    clip_spec = dataclasses.replace(spec, height=32, width=32, short_side=40)
    expected = keras_tdn.predict_video(model, tmp_path / "video.mp4", clip_spec=clip_spec)
    assert other[0]["score"] == pytest.approx(expected[0].score, abs=1e-6)
    assert other[0]["score"] != pytest.approx(scores[0], abs=1e-3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (48, 64, 56)),
        (["--size", "112"], (112, 112, 128)),
        (["--size", "96x128"], (96, 128, 110)),
        (["--short-side", "80"], (48, 64, 80)),
        (["--size", "96x128", "--short-side", "100"], (96, 128, 100)),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["predict", "video.mp4"],
        ["evaluate", "list.txt"],
        ["label", "list.txt", "out"],
        ["watch", "video.mp4"],
        ["explain", "video.mp4", "--output", "out"],
        ["export", "--output", "out"],
        ["web"],
    ],
    ids=lambda command: command[0],
)
def test_size_and_short_side(monkeypatch, command, options, expected):
    loaded = types.SimpleNamespace(clip_spec=keras_tdn.ClipSpec(2, 5, 48, 64, 56))
    monkeypatch.setattr(loading, "_load_model", lambda *_: loaded)
    arguments = [*command, "--weights", "preset", *options]
    args = _parser().parse_args(arguments)
    weights = args.weights if isinstance(args.weights, str) else args.weights[0][0]
    spec = loading.load_model(args, None, weights).clip_spec
    assert (spec.height, spec.width, spec.short_side) == expected


def test_preset(folder, capsys):
    assert main(paths(folder, "model.keras", "--json")) == 0
    expected = json.loads(capsys.readouterr().out)["predictions"]
    assert main(paths(folder, "preset", "--json")) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    # The preset brings its labels along.
    assert [item["label"] for item in predictions] == [LABELS[item["index"]] for item in expected]
    for item, other in zip(predictions, expected, strict=True):
        assert item["score"] == pytest.approx(other["score"], abs=1e-6)


def error_of(capsys, arguments):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("keras-tdn: error: ")
    # Whatever the message brings along is indented below its first line.
    assert all(line.startswith("  ") for line in captured.err.splitlines()[1:])
    return captured.err


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ("model.keras", ["--top", "0"], "`top` must be an integer"),
        ("model.keras", ["--labels", "ucf101"], "have 3 classes and `labels` has 101"),
        ("model.keras", ["--labels", "nowhere.txt"], "no labels called 'nowhere.txt'"),
        ("model.keras", ["--classes", "3"], "--classes is for a .weights.h5 file"),
        ("model.keras", ["--segments", "8"], "--segments is for a .weights.h5 file"),
        ("nowhere.keras", [], "no such file or folder"),
        ("nowhere.weights.h5", ["--classes", "3", "--segments", "4"], "no such file or folder"),
        ("nowhere", [], "no such file or folder"),
        ("bare.weights.h5", [], "Pass --classes or --labels"),
        (
            "bare.weights.h5",
            ["--classes", "4", "--segments", "4"],
            "build the model with classes=3",
        ),
        ("model.weights.h5", ["--classes", "4"], "--classes 4 does not fit the weights"),
        ("model.weights.h5", ["--segments", "8"], "whose model has num_segments=4. Leave it out"),
        (
            "model.weights.h5",
            ["--model", "tdn_resnet50"],
            "whose model has stage_depths=(1, 1, 1, 1)",
        ),
        ("preset", ["--size", "small"], "--size is a number of pixels, or HEIGHTxWIDTH"),
        ("preset", ["--size", "64"], "takes clips of 32x32 pixels alone"),
        ("preset", ["--short-side", "16"], "`short_side` must be at least the crop's"),
        ("text.keras", [], "text.keras"),
        (
            "text.weights.h5",
            ["--classes", "3", "--segments", "4"],
            "damaged or is no Keras weights",
        ),
    ],
)
def test_errors(folder, capsys, small_resnet50, weights, options, message):
    for name in ("text.keras", "text.weights.h5"):
        (folder / name).write_text("not a model")
    assert message in error_of(capsys, paths(folder, weights, *options))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.mp4", None, "there is no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"1 Walk\n" * 99, "it is not a video"),
        ("sound.wav", encode_audio(), "only audio"),
    ],
)
def test_errors_of_videos(folder, tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    arguments = ["predict", str(tmp_path / name), "--weights", str(folder / "model.keras")]
    assert message in error_of(capsys, arguments)


def test_data_sets_without_hosted_weights(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_TDN_PRESETS", str(tmp_path))
    error = error_of(capsys, ["predict", "video.mp4", "--weights", "kinetics400"])
    assert "not hosted yet" in error
    # Commands are there to be copied: on lines of their own.
    assert '\n    pip install "keras-tdn[convert]"\n    keras-tdn convert ' in error


def test_interrupt_is_quiet(folder, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras_tdn.prediction, "predict_video", interrupt)
    assert main(paths(folder, "model.keras")) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [[], ["predict"], ["nonsense"], ["predict", "video.mp4"]])
def test_usage_errors(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("keras-tdn: error: ")


def test_help_and_version(capsys):
    for arguments in (["--help"], ["predict", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    assert keras_tdn.__version__ in capsys.readouterr().out


def test_module_in_a_fresh_process(folder, capsys):
    """The model is compiled there, as users' models are."""
    result = run_in_fresh_process(*paths(folder, "model.keras", "--json"))
    assert result.status == 0
    assert "Traceback" not in result.err
    found = json.loads(result.out)["predictions"]
    assert main(paths(folder, "model.keras", "--json")) == 0
    expected = json.loads(capsys.readouterr().out)["predictions"]
    assert [item["label"] for item in found] == [item["label"] for item in expected]
    for item, other in zip(found, expected, strict=True):
        assert item["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.slow
def test_error_in_a_fresh_process():
    # One that is told before a backend is loaded.
    result = run_in_fresh_process("demo", "--epochs", "0")
    assert result.status == 2
    assert result.out == ""
    assert result.err.splitlines()[-1].startswith("keras-tdn: error: ")
    assert "Traceback" not in result.err
