"""The examples of the page on labelling run as they are written."""

import importlib.util
import re
from pathlib import Path

import pytest

import keras_tdn

pytestmark = pytest.mark.usefixtures("eager_models")
PAGE = Path(__file__).parents[2] / "docs" / "labelling.md"
HERE, PIPELINE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def archive(tdn, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras_tdn.pretrained.save_preset(tdn, "my_preset", labels=tdn.labels)
    Path("archive.txt").write_text("".join(f"{path}\n" for path in paths[:2]))


def test_on_this_machine(archive, tdn, capsys, monkeypatch):
    # The page takes for granted that it is compiled already.
    monkeypatch.setattr(keras_tdn.pretrained, "load_preset", {"my_preset": tdn}.get)
    exec(compile(HERE, str(PAGE), "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("2 ")
    assert len(told) == 3


@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="needs the extra keras-tdn[beam]"
)
def test_a_pipeline_of_ones_own(archive, paths):
    exec(compile(PIPELINE, str(PAGE), "exec"), {"__name__": "page"})
    (file,) = Path().glob("labels-*")
    lines = sorted(file.read_text().splitlines())
    assert [line.startswith(path) for line, path in zip(lines, paths, strict=False)] == [True] * 2


def test_every_option_of_the_command_exists(capsys):
    from keras_tdn.cli import main

    with pytest.raises(SystemExit):
        main(["label", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.read_text()))
    # Beam's own, and the benchmark's.
    assert named - known <= {"--gpu"}
    assert "--in-processes" in named
