import pytest

import keras_tdn.demo
from keras_tdn.cli import main
from keras_tdn.demo import DemoResult, DemoSettings
from keras_tdn.demo.result import Step


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Stands in for the demo; keeps what it was called with."""
    calls = []

    def run_demo(output, settings, *, tell):
        calls.append((output, settings))
        tell("1/6  Rendering")
        answer = (("moving left", 0.9),)
        total = Step("total", 61.2, 100.0)
        return DemoResult(
            tmp_path / "a demo", settings, 1.0, 0.09, 1 / 11, "moving left", answer, (), total
        )

    monkeypatch.setattr(keras_tdn.demo, "run_demo", run_demo)
    return calls


def test_the_first_command_needs_no_arguments(runs, capsys, tmp_path):
    assert main(["demo"]) == 0
    assert runs == [("keras_tdn_demo", DemoSettings())]
    lines = capsys.readouterr().out.splitlines()
    folder = tmp_path / "a demo"
    assert lines == [
        "1/6  Rendering",
        "Done in 61 s.",
        f"Page    {folder / 'index.html'}",
        f"Preset  {folder / 'preset'}",
        f"Next    keras-tdn predict '{folder / 'fresh.mp4'}' --weights '{folder / 'preset'}'",
    ]


def test_arguments(runs):
    assert main(["demo", "--output", "there", "--epochs", "2", "--seed", "5"]) == 0
    assert runs == [("there", DemoSettings(epochs=2, seed=5))]


def test_short(runs):
    assert main(["demo", "--short", "--seed", "5"]) == 0
    ((_, settings),) = runs
    assert settings == DemoSettings.short(seed=5)
    assert (settings.epochs, settings.seed, settings.num_train) == (1, 5, 24)


def test_interrupt_says_what_is_left(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras_tdn.demo, "run_demo", interrupt)
    assert main(["demo"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "\nStopped. Nothing was left behind; the same command starts anew.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "at least 1 for `epochs`"),
        (["--short", "--seed", "-1"], "at least 0 for `seed`"),
        (["--output", "file"], "is there already and is not a folder"),
        (["--output", "file/inner"], "cannot write to"),
        (["--output", "full"], "is not empty: it has 'thesis.tex'"),
    ],
)
def test_errors(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("kept")
    assert main(["demo", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("keras-tdn: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
