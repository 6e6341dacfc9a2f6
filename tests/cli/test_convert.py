import sys
import types

import goldens
import official_checkpoints
import pytest

from keras_tdn import cli
from keras_tdn.cli import presets
from keras_tdn.pretrained import load_preset
from keras_tdn.pretrained.weights_file import load_described_weights


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return official_checkpoints.small(tmp_path_factory.mktemp("small") / "best.pth.tar", width=8)


def run(capsys, *arguments):
    status = cli.main(["convert", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_converts_and_reports(capsys, checkpoint, tmp_path):
    status, out, _ = run(capsys, checkpoint, tmp_path / "preset")
    assert status == 0
    assert "stages of (1, 1, 1, 1) blocks, width 8" in out
    assert "classes   10" in out
    assert "segments  8 (ASSUMED)" in out
    assert "WARNING: no checkpoint tells its segments; 8 is a\n" in out
    assert "To add them: --labels FILE" in out
    assert "stage4_block0_ltdm" in out
    assert "DIFFERENT" not in out
    assert f"Wrote {tmp_path / 'preset'}" in out
    assert f"keras-tdn predict VIDEO --weights {tmp_path / 'preset'}\n" in out
    model = load_preset(tmp_path / "preset")
    assert (model.num_segments, model.labels) == (8, None)


def test_data_sets_are_not_guessed(capsys, tmp_path):
    path = official_checkpoints.save(tmp_path / "a.pth", goldens.state("depth1111", 174, width=8))
    status, out, _ = run(capsys, path, tmp_path / "preset", "--no-verify")
    assert status == 0
    assert "--labels something_something_v1 or" in out
    assert load_preset(tmp_path / "preset").labels is None


def test_every_option(capsys, checkpoint, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"name {index}\n" for index in range(10)))
    options = ["--segments", 16, "--labels", labels, "--size", 64, "--no-verify"]
    status, out, _ = run(capsys, checkpoint, tmp_path / "preset", *options)
    assert status == 0
    assert "segments  16\n" in out
    assert "ASSUMED" not in out
    assert "labels    name 0, ... (10)" in out
    assert "NOT VERIFIED" in out
    model = load_preset(tmp_path / "preset")
    assert model.input_shape == (None, 80, 64, 64, 3)
    assert model.labels[9] == "name 9"

    status, _, err = run(capsys, checkpoint, tmp_path / "preset", *options)
    assert (status, "--overwrite" in err) == (2, True)
    assert run(capsys, checkpoint, tmp_path / "preset", *options, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (51, "--labels hmdb51"),
        (101, "--labels ucf101"),
        (174, "--labels something_something_v1 or --labels something_something_v2"),
        (400, "--labels kinetics400"),
    ],
)
def test_data_sets_are_offered(classes, told):
    assert told in presets._label_lines(types.SimpleNamespace(labels=None, classes=classes))[1]


def test_a_weights_file_says_what_it_is_for(capsys, checkpoint, tmp_path):
    path = tmp_path / "a.weights.h5"
    out = run(capsys, checkpoint, path, "--no-verify")[1]
    assert out.splitlines()[-1] == f"Next: keras-tdn predict VIDEO --weights {path}"
    model = load_described_weights(str(path))
    assert (model.classes, model.num_segments, model.stage_depths) == (10, 8, (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.pth.tar", "out"], "There is no checkpoint file 'none.pth.tar'"),
        (["none.pth.tar", "out", "--segments", 0], "--segments must be at least 1"),
        (["none.pth.tar", "out", "--size", 16], "--size must be at least 32"),
        (["none.pth.tar", "out", "--labels", "none"], "no labels called 'none'"),
        (["none.pth.tar", "out.pth"], "written as .keras or .weights.h5 file"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("keras-tdn: error: ")
    assert err.count("\n") == 1


def test_without_torch_the_extra_is_named(capsys, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, _, err = run(capsys, checkpoint, tmp_path / "preset")
    assert status == 2
    assert 'pip install "keras-tdn[convert]"' in err
