"""A training that starts on a CPU beside a GPU says so."""

import dataclasses

import pytest

import keras_tdn
from keras_tdn import gpus
from keras_tdn.data import load_records
from keras_tdn.training import recipes, train, training_run


class StartedError(Exception):
    pass


@pytest.mark.parametrize(("progress", "lines"), [(True, 1), (False, 0)])
def test_one_line_before_the_first_step(tmp_path, monkeypatch, capsys, progress, lines):
    def start(*_, **__):
        raise StartedError

    monkeypatch.setattr(training_run, "TrainingState", start)
    monkeypatch.setattr(gpus, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(gpus, "visible_accelerators", lambda backend: [])
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.delenv(name, raising=False)
    items = [(str(tmp_path / f"{number}.mp4"), number) for number in range(2)]
    for path, _ in items:
        (tmp_path / path).touch()
    recipe = dataclasses.replace(recipes.finetune_small, batch_size=2, crop_size=32)
    shape = {"num_segments": 2, "input_shape": (10, 32, 32, 3), "classes": 2}
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=8, short_term=False, long_term=False, **shape)
    with pytest.raises(StartedError):
        train(model, load_records(items), None, recipe, tmp_path / "run", progress=progress)
    written = capsys.readouterr().err.splitlines()
    assert sum("has an NVIDIA GPU that" in line for line in written) == lines
