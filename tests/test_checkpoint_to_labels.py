"""From a full-size checkpoint in the authors' format to labels for real videos, by the commands."""

import json

import goldens
import numpy as np
import official_checkpoints
import pytest
from real_videos import FIXTURES, NO_VIDEOS
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.cli import main
from keras_tdn.labels import load_labels

LABELS = "something_something_v1"


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The path of a preset that `keras-tdn convert` made; 174 classes, 8 segments."""
    folder = tmp_path_factory.mktemp("checkpoint")
    # The shapes are those of a Something-Something checkpoint. Synthetic weights saturate the
    # softmax; a smaller head leaves scores that differ.
    tensors = goldens.state("resnet50")
    tensors["new_fc.weight"] = tensors["new_fc.weight"] * np.float32(0.05)
    checkpoint = official_checkpoints.save(folder / "best.pth.tar", tensors)
    arguments = ["convert", str(checkpoint), str(folder / "preset"), "--segments", "8"]
    assert main([*arguments, "--labels", LABELS]) == 0
    return folder / "preset"


def test_commands_from_checkpoint_to_labels(preset, tmp_path, capsys):
    video = tmp_path / "a video.mp4"
    video.write_bytes(encode_video(30))
    assert main(["predict", str(video), "--weights", str(preset), "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    names = load_labels(LABELS)
    assert len(predictions) == 5
    assert all(names[item["index"]] == item["label"] for item in predictions)
    scores = [item["score"] for item in predictions]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] <= scores[0] <= 1


@pytest.mark.slow
def test_every_real_video(preset):
    if not FIXTURES:
        pytest.skip(NO_VIDEOS)
    model = keras_tdn.pretrained.load_preset(preset)
    first_scores = set()
    for video in FIXTURES:
        predictions = keras_tdn.predict_video(model, video, top=174)
        assert {item.label for item in predictions} == set(load_labels(LABELS))
        assert sum(item.score for item in predictions) == pytest.approx(1, abs=1e-4)
        first_scores.add(round(predictions[0].score, 6))
    # Different videos, different scores: the pixels arrive.
    assert len(first_scores) > 0.9 * len(FIXTURES)
