"""TensorFlow reads videos for every backend, and leaves the GPUs to those that compute on them."""

import keras
import pytest
import tensorflow as tf
from synthetic_videos import encode_video

from keras_tdn.data import load_records, make_dataset
from keras_tdn.scoring.views import FrameReader
from keras_tdn.specs import ClipSpec
from keras_tdn.training import device_scope, keep_tensorflow_off_gpus


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpus") / "video.mp4"
    path.write_bytes(encode_video(9))
    return load_records([(str(path), 0)])


@pytest.fixture
def visible(monkeypatch):
    """What TensorFlow is told to see."""
    calls = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *call: calls.append(call))
    return calls


USES = {
    "frames": lambda records: FrameReader(records),
    "dataset": lambda records: make_dataset(
        records, ClipSpec(2, 1, 16, 16, 16), training=False, batch_size=1
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_only_tensorflow_as_the_backend_takes_gpus(backend, use, records, visible, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    USES[use](records)
    # More than once does no harm.
    assert set(map(str, visible)) == (set() if backend == "tensorflow" else {"([], 'GPU')"})


def test_training_does_it_in_its_scope(visible, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with device_scope(1):
        assert visible == [([], "GPU")]


def test_it_may_be_too_late(monkeypatch):
    def initialized(*call):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", initialized)
    keep_tensorflow_off_gpus()
