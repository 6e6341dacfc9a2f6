import json
import re

import pytest
from evaluation_toys import make_scores
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.cli import loading, main
from keras_tdn.data.packing import pack
from keras_tdn.data.records import load_records
from keras_tdn.evaluation import load_report, load_scores

MODELS = {}
LABELS = ("fall", "geton", "roll over")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two lists of the same videos, and two presets."""
    folder = tmp_path_factory.mktemp("evaluate")
    lines = []
    for number in range(4):
        (folder / f"{number}.mp4").write_bytes(encode_video(20 + 9 * number))
        lines.append(f"{number}.mp4 {number % 3}\n")
    (folder / "list.txt").write_text("".join(lines))
    (folder / "missing.txt").write_text("".join([*lines, "none.mp4 1\n"]))
    for number in range(2):
        model = keras_tdn.TDNResNet(
            (1, 1, 1, 1), width=16, classes=3, num_segments=2, frames_per_segment=3, name="small"
        )
        kernel = model.get_layer("classifier").kernel
        kernel.assign(kernel * 500)
        model.clip_spec = keras_tdn.ClipSpec(2, 3, 32, 32, 32)
        keras_tdn.pretrained.save_preset(model, folder / f"preset_{number}", labels=LABELS)
    return folder


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """Commands of one process get the same model for the same weights, compiled already."""
    load = loading.load_model

    def cached(args, labels, weights=None):
        key = weights, args.model
        if key not in MODELS:
            MODELS[key] = load(args, labels, weights)
        return MODELS[key]

    monkeypatch.setattr(loading, "load_model", cached)


def arguments(folder, *options, weights=("preset_0",), name="list.txt"):
    paths = [str(folder / weight) for weight in weights]
    return ["evaluate", str(folder / name), "--weights", *paths, *options]


def test_one_model(folder, tmp_path, capsys):
    output = tmp_path / "results"
    options = ("--views", "2x3", "--output", str(output), "--batch-size", "4", "--workers", "1")
    assert main(arguments(folder, *options)) == 0
    told = capsys.readouterr().out
    report = load_report(output)
    assert report.class_names == LABELS
    assert re.search(r"videos +4 scored of 4 listed", told)
    assert f"{report.top1:.2%}" in told
    assert told.endswith(f"{output / 'report.html'}\n")
    assert load_scores(output).view_scores.shape == (4, 6, 3)
    assert main(arguments(folder, *options)) == 2
    assert "has results already" in capsys.readouterr().err
    assert main(arguments(folder, *options, "--resume")) == 0
    assert load_report(output) == report
    assert main(arguments(folder, *options, "--overwrite", "--seed", "3")) == 0
    assert load_report(output).facts["identity"]["seed"] == 3


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("LIST --weights A", ["A"]),
        ("--weights A LIST", ["A"]),
        ("--weights A LIST --seed 0", ["A"]),
        ("--weights A --seed 0 LIST", ["A"]),
        ("LIST --weights A B", ["A", "B"]),
        ("--weights A B LIST", ["A", "B"]),
        ("LIST --weights A --weights B", ["A", "B"]),
        ("--weights A --weights B LIST", ["A", "B"]),
        ("--weights A LIST --weights B", ["A", "B"]),
        ("--weights A --seed 0 LIST --weights B", ["A", "B"]),
    ],
)
def test_the_list_may_stand_anywhere(order, expected, monkeypatch, tmp_path):
    seen = []

    def load_model(args, labels, weights):
        seen.append((args.list, args.weights))
        raise ValueError("enough")

    monkeypatch.setattr(loading, "load_model", load_model)
    assert main(["evaluate", *order.split(), "--output", str(tmp_path)]) == 2
    assert seen == [("LIST", expected)]


def test_a_list_is_needed(capsys):
    assert main(["evaluate", "--weights", "motion"]) == 2
    error = capsys.readouterr().err
    assert "no list of videos. Name one: keras-tdn evaluate LIST --weights motion" in error


def test_several_models_are_an_ensemble(folder, tmp_path, capsys):
    weights = ("preset_0", "preset_1")
    options = ("--output", str(tmp_path / "both"), "--ensemble", "clipped_logits")
    assert main(arguments(folder, *options, weights=weights)) == 0
    assert "ensemble: sum of logits clipped at zero" in capsys.readouterr().out
    report = load_report(tmp_path / "both")
    assert report.loss is None
    parts = [str(tmp_path / "both" / f"model_{number}") for number in (1, 2)]
    joined = ["ensemble", *parts, "--method", "clipped_logits", "--output", str(tmp_path / "again")]
    assert main(joined) == 0
    assert (tmp_path / "again" / "report.html").exists()
    assert load_report(tmp_path / "again") == report
    assert main(joined) == 2
    assert main([*joined, "--overwrite"]) == 0
    assert main(["ensemble", *parts]) == 0
    assert "calibration error" in capsys.readouterr().out
    assert main(["compare", *parts]) == 0
    # Of the same models it goes on; one model does not go on with what several made.
    assert main(arguments(folder, *options, "--resume", weights=weights)) == 0
    assert load_report(tmp_path / "both") == report
    capsys.readouterr()
    assert main(arguments(folder, "--output", str(tmp_path / "both"), "--resume")) == 2
    assert "and no scores, such as those of an ensemble" in capsys.readouterr().err
    assert main(["compare", *parts]) == 0
    assert "McNemar" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--views", "30"), "--views is CLIPSxCROPS, such as 1x1, 1x3 or 10x3. Received: '30'"),
        (("--views", "10x5"), "one of [1, 3, 10]"),
        (("--crop-size", "big"), "--crop-size is a number of pixels"),
        (("--ensemble", "softmax"), "pass more than one to --weights"),
        (("--resume",), "Pass it as well"),
        (("--time-limit", "3"), "--time-limit is for --in-processes"),
        (("--model", "tdn_resnet50"), "--model is for a .weights.h5 file"),
    ],
)
def test_wrong_options_are_told(folder, capsys, options, message):
    assert main(arguments(folder, *options)) == 2
    assert message in capsys.readouterr().err


def test_missing_files_are_told_or_left_out(folder, capsys):
    assert main(arguments(folder, name="missing.txt")) == 2
    assert "none.mp4" in capsys.readouterr().err
    options = ("--skip-missing", "--crop-size", "40x48")
    assert main(arguments(folder, *options, name="missing.txt")) == 0
    told = capsys.readouterr().out
    assert "4 scored of 4 listed" in told
    assert "48x40 pixels" in told


def test_packed_records(folder, tmp_path, capsys):
    records = load_records(folder / "list.txt", labels=LABELS)
    pack(records, tmp_path / "packed", num_shards=1, num_processes=1, progress=False)
    command = ["evaluate", str(tmp_path / "packed"), "--weights", str(folder / "preset_0")]
    assert main(command) == 0
    assert "4 scored of 4 listed" in capsys.readouterr().out


def test_an_ensemble_needs_a_folder(folder, capsys):
    assert main(arguments(folder, weights=("preset_0", "preset_1"))) == 2
    assert "Pass --output DIR" in capsys.readouterr().err


def test_scores_of_videos_that_are_gone_make_a_page_too(tmp_path, capsys):
    for number in range(2):
        make_scores(number).save(tmp_path / f"{number}.npz")
    files = [str(tmp_path / f"{number}.npz") for number in range(2)]
    assert main(["ensemble", *files, "--output", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "report.html").read_text()
    assert "data:image/jpeg" not in page
    report = json.loads((tmp_path / "page" / "report.json").read_text())
    assert report["num_scored"] == 12
