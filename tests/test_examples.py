"""The examples run as written."""

import dataclasses
import pathlib
import runpy
import subprocess
import sys

import pytest
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.pretrained.weights_file import load_described_weights
from keras_tdn.training import recipes
from keras_tdn.training.callbacks import Checkpoints

pytestmark = pytest.mark.usefixtures("eager_models")
EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def test_label_video(tmp_path):
    (tmp_path / "video.mp4").write_bytes(encode_video(30))
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=2, labels=["jump", "run"])
    keras_tdn.pretrained.save_preset(model, tmp_path / "preset")
    command = [sys.executable, EXAMPLES / "label_video.py", tmp_path / "video.mp4"]
    result = subprocess.run(
        [*command, tmp_path / "preset"], check=True, capture_output=True, text=True
    )
    lines = result.stdout.splitlines()
    assert {line.split()[1] for line in lines} == {"jump", "run"}


def test_finetune(tmp_path, monkeypatch):
    """In this process, with a network and a recipe that take seconds instead of hours."""
    for number in range(9):
        content = encode_video(10 + number, size=(32, 48))
        (tmp_path / f"{number}.mp4").write_bytes(content)
    for name, numbers in (("train", range(6)), ("validate", range(6, 9))):
        lines = [f"{number}.mp4 {('jump', 'run')[number % 2]}\n" for number in numbers]
        (tmp_path / f"{name}.txt").write_text("".join(lines))

    def small_network(weights, classes, labels):
        assert weights == "imagenet"
        return keras_tdn.TDNResNet(
            (1, 1, 1, 1), width=8, classes=classes, num_segments=2, long_term=False,
            short_term=False, temporal_shift=False, labels=labels,
        )  # fmt: skip

    recipe = dataclasses.replace(recipes.finetune_small, batch_size=3, epochs=2, crop_size=32)
    monkeypatch.setattr(keras_tdn, "TDNResNet50", small_network)
    monkeypatch.setattr(recipes, "finetune_small", recipe)
    main = runpy.run_path(str(EXAMPLES / "finetune.py"))["main"]
    output = tmp_path / "run"
    arguments = [str(tmp_path / "train.txt"), str(tmp_path / "validate.txt"), "imagenet", output]
    # Interrupted behind the first epoch, it goes on.
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            main(*arguments)
    assert not (output / "preset").exists()
    main(*arguments)
    assert [line[:2] for line in (output / "log.csv").read_text().splitlines()[1:]] == ["1,", "2,"]
    assert keras_tdn.pretrained.load_preset(output / "preset").labels == ("jump", "run")
    best = load_described_weights(str(output / "best.weights.h5"))
    assert (best.labels, best.clip_spec.height) == (("jump", "run"), 32)


def test_finetune_frozen(tmp_path, monkeypatch):
    for number in range(8):
        content = encode_video(10 + number, size=(32, 48))
        (tmp_path / f"{number}.mp4").write_bytes(content)
    lines = [f"{number}.mp4 {('jump', 'run')[number % 2]}\n" for number in range(8)]
    (tmp_path / "list.txt").write_text("".join(lines))
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=2, num_segments=2)
    before = {weight.path: weight.numpy() for weight in model.weights}

    def small_network(weights, classes, labels):
        model.labels = labels
        return model

    monkeypatch.setattr(keras_tdn, "TDNResNet50", small_network)
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(EXAMPLES / "finetune_frozen.py"))["main"]
    main("list.txt", "imagenet")
    changed = {
        weight.path for weight in model.weights if (before[weight.path] != weight.numpy()).any()
    }
    assert {path.split("/")[-2] for path in changed} == {"classifier"}
    # Predictions say "run", and not "class 1".
    assert keras_tdn.pretrained.load_preset("my_model").labels == ("jump", "run")


def interrupted(self, epoch, logs=None, original=Checkpoints.on_epoch_end):
    original(self, epoch, logs)
    if epoch == 1:
        raise KeyboardInterrupt
