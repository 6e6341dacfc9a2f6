"""A small model whose scores tell windows apart, and a video with something in it."""

import numpy as np
import pytest
from synthetic_videos import encode_video
from watched import small_model

NUM_FRAMES = 100


@pytest.fixture(scope="session")
def model():
    return small_model()


@pytest.fixture(scope="session")
def content():
    """Four seconds of numbered frames, a key frame every second."""
    return encode_video(NUM_FRAMES, options={"g": "25", "keyint_min": "25"})


@pytest.fixture(scope="session")
def video(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("watching") / "video.mp4"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="session")
def pixels(content):
    """Every frame of that video."""
    from keras_tdn.data.decoding import read_frames

    return read_frames(content, np.arange)
