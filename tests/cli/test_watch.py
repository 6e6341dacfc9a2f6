import json

import pytest
from synthetic_videos import encode_video
from watched import LABELS, small_model

from keras_tdn.cli import loading, main
from keras_tdn.watching import load_timeline, watch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and a video."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "video.mp4").write_bytes(encode_video(50))
    small_model().save(folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def models():
    return {}


@pytest.fixture(autouse=True)
def load_once(models, monkeypatch):
    """One load and one compilation for all tests."""
    load = loading.load_model

    def cached(args, labels):
        if args.weights not in models:
            models[args.weights] = load(args, labels)
        return models[args.weights]

    monkeypatch.setattr(loading, "load_model", cached)


def arguments(folder, *options, video="video.mp4"):
    return ["watch", str(folder / video), "--weights", str(folder / "model.keras"), *options]


def test_on_the_terminal(folder, models, capsys):
    assert main(arguments(folder, "--window", "0.8", "--stride", "2", "--top", "2")) == 0
    captured = capsys.readouterr()
    (model,) = models.values()
    windows = list(watch(model, folder / "video.mp4", window_seconds=0.8, stride=2))
    lines = captured.out.splitlines()
    for line, window in zip(lines, windows, strict=True):
        start, end, rest = line.split(maxsplit=2)
        assert (float(start), float(end)) == (window.start, window.end)
        best = window.scores.argmax()
        assert rest.startswith(f"{LABELS[best]} {window.scores[best]:.3f}  ")
    assert captured.err == ""
    assert main(arguments(folder, "--window", "0.8", "--stride", "2", "--json")) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["window"] for item in told] == [0, 1, 2]
    best = windows[1].scores.argmax()
    assert told[1]["predictions"] == [
        {"index": best, "label": LABELS[best], "score": pytest.approx(windows[1].scores[best])}
    ]


def test_into_a_folder(folder, tmp_path, capsys):
    options = ["--window", "0.8", "--output", str(tmp_path / "out"), "--outputs", "csv,page"]
    assert main(arguments(folder, *options)) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ("timeline.jsonl", "timeline.csv", "timeline.html")
    assert lines == ["6 windows, 50 frames, 2.0 s", *(str(tmp_path / "out" / n) for n in names)]
    assert len(list(load_timeline(tmp_path / "out").windows())) == 6
    assert main(arguments(folder, *options)) == 2
    assert "has results already" in capsys.readouterr().err
    assert main(arguments(folder, *options, "--resume")) == 0
    assert main(arguments(folder, *options, "--overwrite", "--stride", "2")) == 0
    assert "3 windows" in capsys.readouterr().out


def test_what_was_lost_is_told(folder, tmp_path, capsys):
    from streams import damage_packets

    content = encode_video(50, options={"g": "25", "keyint_min": "25"})
    (tmp_path / "bad.mp4").write_bytes(damage_packets(content, [10]))
    assert main(arguments(folder, "--window", "0.8", video=tmp_path / "bad.mp4")) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert (
        captured.err == "keras-tdn: lost 0.2 s to 1 s: Invalid data found when processing input\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--window SECONDS"),
        (["--window", "0"], "`window_seconds` is a number"),
        (["--window", "1", "--resume"], "--resume is about --output DIR"),
        (["--window", "1", "--outputs", "csv"], "--outputs is about --output DIR"),
        (["--window", "1", "--min-score", "0"], "--min-score is about --output DIR"),
        (["--window", "1", "--output", "out", "--json"], "--json is for the terminal"),
        (["--window", "1", "--input-option", "size"], "--input-option takes NAME=VALUE"),
        (["--window", "1", "--outputs", "pdf", "--output", "out"], "`outputs` are some of"),
        (["--window", "1", "--top", "0"], "`top` must be an integer"),
        (["--window", "1", "--labels", "ucf101"], "has 101"),
    ],
)
def test_errors(folder, capsys, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments(folder, *options)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_missing_video(folder, capsys):
    assert main(arguments(folder, "--window", "1", video="nowhere.mp4")) == 2
    assert "there is no such file" in capsys.readouterr().err
