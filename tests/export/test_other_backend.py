"""Exports while Keras runs on JAX or PyTorch: one process asks another.

With TensorFlow as Keras backend this process says that it runs on PyTorch; that only
decides who writes. The real thing is

    KERAS_BACKEND=torch pytest tests/export/test_other_backend.py
"""

import json
import subprocess

import keras
import numpy as np
import pytest
from backends import skip_without

from keras_tdn.export import export_saved_model, served_model
from keras_tdn.files.atomic import sha256_of
from keras_tdn.pretrained.preset_files import WEIGHTS_FILE


@pytest.fixture
def other(monkeypatch):
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(keras.backend, "backend", lambda: "torch")


def test_another_process_writes_it(preset_model, tmp_path, other, monkeypatch):
    # The preset is written with the other backend's settings.
    skip_without(keras.backend.backend())
    tf = pytest.importorskip("tensorflow")
    model, preset = preset_model
    folder = tmp_path / "served" / "1"
    here = tf.saved_model.save
    monkeypatch.setattr(tf.saved_model, "save", None)
    labels = [f"other {number}" for number in range(model.classes)]
    assert export_saved_model(model, folder, top=2, labels=labels) == folder
    monkeypatch.setattr(tf.saved_model, "save", here)
    manifest = json.loads((folder / "assets" / "keras_tdn.json").read_text())
    assert manifest["weights_sha256"] == sha256_of(preset / WEIGHTS_FILE)
    assert manifest["labels"] == labels
    clips = np.random.default_rng(3).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    expected = keras.ops.convert_to_numpy(model(clips.astype("float32"), training=False))
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answer = served(clips=tf.constant(clips))
    # Two frameworks may be compared: sums in another order, through thirty layers.
    np.testing.assert_allclose(answer["scores"], expected, rtol=1e-4, atol=1e-6)
    best = expected.argsort(axis=1)[:, ::-1][:, :2]
    names = [[f"other {number}".encode() for number in row] for row in best]
    assert answer["labels"].numpy().tolist() == names


def test_the_reason_of_a_failure_comes_back(preset_model, tmp_path, other, monkeypatch):
    def fail(arguments, **environment):
        assert arguments[:2] == ["export", "--weights"]
        assert environment == {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        error = "a warning\nkeras-tdn: error: No space left on device\n"
        return subprocess.CompletedProcess(arguments, 2, "", error)

    monkeypatch.setattr(served_model, "run_command", fail)
    with pytest.raises(ValueError, match=r"KERAS_BACKEND=tensorflow\. It failed: No space left"):
        export_saved_model(preset_model[0], tmp_path / "1")
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("a warning\nkeras-tdn: error: No space left\n", "No space left"),
        (
            "keras-tdn: error: It needs more. Run\n    pip install more\n  and try again.\n",
            "It needs more. Run\n  pip install more\nand try again.",
        ),
        ("Traceback:\n  here\nKilled\n", "Killed"),
        ("", ""),
    ],
)
def test_all_of_the_reason(stderr, reason):
    assert served_model._reason(stderr) == reason
