"""A training that is broken off and goes on, on each backend; see also test_killed_runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic_videos
from backends import skip_without

import keras_tdn

RESUMED_TRAINING = Path(__file__).with_name("resumed_training.py")
NUM_VIDEOS = 13
# Killed processes take TensorFlow's part, and two replicas take their time to trace.
ONLY_ASKED = pytest.mark.skipif(
    not os.environ.get("KERAS_TDN_KILLS"), reason="takes long: set KERAS_TDN_KILLS=10"
)
CASES = (
    ("jax", []),
    ("torch", []),
    pytest.param("tensorflow", [], marks=ONLY_ASKED),
    pytest.param("tensorflow", ["mirrored"], marks=ONLY_ASKED),
)


@pytest.fixture
def videos(tmp_path):
    for number in range(NUM_VIDEOS):
        video = synthetic_videos.encode_video(12 + number, size=(32, 48), first=16 * number)
        (tmp_path / f"{number}.mp4").write_bytes(video)
    return tmp_path


@pytest.mark.parametrize(("backend", "arguments"), CASES)
def test_goes_on_as_if_nothing_had_happened(videos, backend, arguments):
    skip_without(backend)
    root = str(Path(keras_tdn.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, RESUMED_TRAINING, videos, *arguments],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == []
