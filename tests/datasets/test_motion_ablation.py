"""The ablation's bookkeeping; its training is what its results in docs come from."""

import importlib.util
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from keras_tdn.datasets.motion import MOTION_LABELS

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "motion_ablation.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("motion_ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def pretend(variant, seed, recipe, train, validation, decoder):
        module.calls.append((variant, seed))
        if len(module.calls) == module.stop_at:
            raise KeyboardInterrupt
        share = (len(variant) + 2 * seed) / 40
        return {
            "variant": variant,
            "seed": seed,
            "top1": share,
            "per_class": {name: share for name in MOTION_LABELS},
            "parameters": 5,
            "cpu_seconds": 2.0,
        }

    module.stop_at = None
    monkeypatch.setattr(module, "train_and_measure", pretend)
    return module


def run(script, monkeypatch, output, *more):
    arguments = ["--output", str(output), "--train-videos", "16", "--validation-videos", "2"]
    monkeypatch.setattr(sys, "argv", ["motion_ablation.py", *arguments, *more])
    script.main()


def test_an_interrupted_study_goes_on_and_reports(script, monkeypatch, tmp_path):
    script.stop_at = 11
    with pytest.raises(KeyboardInterrupt):
        run(script, monkeypatch, tmp_path, "--seeds", "2")
    assert not (tmp_path / "results.json").exists()
    done, script.stop_at, script.calls = script.calls[:10], None, []
    run(script, monkeypatch, tmp_path, "--seeds", "2")
    assert not set(done) & set(script.calls)
    assert len(done) + len(script.calls) == 2 * len(script.VARIANTS) == 14

    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["runs"]) == 14
    summary = results["summary"]["full TDN"]
    assert summary["top1"] == pytest.approx(9 / 40)
    assert summary["top1_by_seed"] == [8 / 40, 10 / 40]
    rows = (tmp_path / "results.md").read_text().splitlines()
    assert len(rows) == 4 + len(script.VARIANTS)
    assert rows[-1].startswith("| full TDN | **22.5** | 20.0 to 25.0 | 22 |")
    plot = ElementTree.parse(tmp_path / "results.svg").getroot()
    texts = "".join(plot.itertext())
    assert all(name in texts for name in (*MOTION_LABELS, *script.VARIANTS))


def test_runs_of_other_settings_are_repeated(script, monkeypatch, tmp_path):
    run(script, monkeypatch, tmp_path, "--seeds", "1")
    script.calls = []
    run(script, monkeypatch, tmp_path, "--seeds", "1", "--epochs", "3")
    assert len(script.calls) == len(script.VARIANTS)


def test_each_module_is_tried_alone_and_all_together(script):
    choices = set(script.VARIANTS.values())
    assert len(choices) == len(script.VARIANTS)
    alone = {(True, False, False), (False, True, False), (False, False, True)}
    assert alone | {(False, False, False), (True, True, True)} <= choices
