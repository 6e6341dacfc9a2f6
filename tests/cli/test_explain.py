import pytest
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.cli import loading, main

LABELS = ("fall", "geton", "roll over")
MODELS = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "video.mp4").write_bytes(encode_video(30))
    (folder / "text.mp4").write_text("no video")
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=3, num_segments=2)
    model.clip_spec = keras_tdn.ClipSpec(2, 5, 32, 48, 32)
    keras_tdn.pretrained.save_preset(model, folder / "preset", labels=LABELS)
    return folder


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    load = loading.load_model

    def cached(args, labels):
        if args.weights not in MODELS:
            MODELS[args.weights] = load(args, labels)
        return MODELS[args.weights]

    monkeypatch.setattr(loading, "load_model", cached)


def arguments(folder, output, *options, video="video.mp4"):
    weights = str(folder / "preset")
    return ["explain", str(folder / video), "--weights", weights, "--output", str(output), *options]


def test_files_and_predictions(folder, tmp_path, capsys):
    options = ("--format", "page,strip", "--class", "roll over", "--top", "2")
    assert main(arguments(folder, tmp_path / "out", *options)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2:] == [str(tmp_path / "out" / name) for name in ("explanation.html", "strip.png")]
    text = (tmp_path / "out" / "explanation.html").read_text(encoding="utf-8")
    assert "<h1" in text
    assert "roll over: video.mp4" in text
    # Refused before anything is computed, and replaced when asked for.
    assert main(arguments(folder, tmp_path / "out", *options)) == 2
    assert "pass overwrite=True (on the command line --overwrite)" in capsys.readouterr().err
    assert main(arguments(folder, tmp_path / "out", *options, "--overwrite", "--class", "0")) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class", "rol over"], "such as 'roll over'"),
        (["--class", "7"], "no class '7'"),
        (["--format", "strip,jpeg"], "some of ['strip', 'gif', 'mp4', 'page']"),
        (["--layer", "none"], "no layer 'none'"),
        (["--top", "0"], "`top` must be an integer"),
        (["--labels", "kinetics400"], "one label for each class"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, options, message, capsys):
    assert main(arguments(folder, tmp_path / "out", *options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("video", ["text.mp4", "none.mp4"])
def test_no_video(folder, tmp_path, video, capsys):
    assert main(arguments(folder, tmp_path / "out", video=video)) == 2
    assert video in capsys.readouterr().err
