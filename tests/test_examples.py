"""The examples run as written."""

import pathlib
import subprocess
import sys

from synthetic_videos import encode_video

import keras_tdn

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
