"""Warm-up requests, and the export through TensorFlow's own command."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_tdn.export import export_saved_model, formats
from keras_tdn.export.formats import BATCH_SIZES

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="writes in this process on TensorFlow"
)


def read_logs(folder):
    log_type = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs keras-tdn[serving]"
    ).PredictionLog
    records = tf.data.TFRecordDataset(str(folder / "assets.extra/tf_serving_warmup_requests"))
    return [log_type.FromString(record.numpy()) for record in records]


def test_warm_up_requests_replay(exported):
    logs = read_logs(exported[2])
    requests = [log.predict_log.request for log in logs]
    asked = [request.model_spec.signature_name for request in requests]
    assert asked == 3 * ["serving_default", "encoded_frames", "features"]
    assert {request.model_spec.name for request in requests} == {"served"}
    # A server reads them into memory.
    assert sum(log.ByteSize() for log in logs) < 1_000_000
    loaded = tf.saved_model.load(str(exported[2]))
    answers = []
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(p)) for name, p in request.inputs.items()}
        answers.append(loaded.signatures[request.model_spec.signature_name](**inputs))
    for place, size in enumerate(BATCH_SIZES):
        pixels, files, features = answers[3 * place : 3 * place + 3]
        assert pixels["scores"].shape == (size, 5)
        # All of a clip is grey, whichever way it comes.
        np.testing.assert_allclose(pixels["scores"], files["scores"], atol=1e-5)
        assert features["features"].shape[0] == size


def test_every_size_that_a_server_pads_batches_to_is_warmed_up():
    config = Path(__file__).parents[2] / "examples" / "serving" / "batching.config"
    sizes = re.findall(r"^allowed_batch_sizes: (\d+)", config.read_text(), re.MULTILINE)
    assert tuple(map(int, sizes)) == BATCH_SIZES


def test_without_their_package(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ImportError, match=r"warm-up requests needs .*keras-tdn\[serving\]"):
        export_saved_model(exported[0], tmp_path / "1", warm_up=True)
    assert list(tmp_path.iterdir()) == []


def test_none_are_written_without_their_package(monkeypatch):
    """`test_an_export_in_bfloat16` leaves them out where they could be written."""
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda _: None)
    assert not formats.has_serving_api()


# Several commands in one process, of which each would import TensorFlow.
SAVED_MODEL_CLI = """
import contextlib, sys
from tensorflow.python.tools import saved_model_cli

for command in sys.argv[1:]:
    sys.argv = ["saved_model_cli", *command.split("\\n")]
    with contextlib.suppress(SystemExit):
        saved_model_cli.main()
"""


@pytest.mark.slow
def test_saved_model_cli(exported, tmp_path):
    """`saved_model_cli` shows the signatures and runs one."""
    model, _, folder = exported
    clips = np.random.default_rng(2).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    where = ["--dir", str(folder), "--tag_set", "serve"]
    which = [*where, "--signature_def", "serving_default"]
    files = ["--inputs", f"clips={tmp_path / 'clips.npy'}", "--outdir", str(tmp_path / "out")]
    commands = [["show", *where], ["show", *which], ["run", *which, *files]]
    shown = subprocess.run(
        [sys.executable, "-c", SAVED_MODEL_CLI, *map("\n".join, commands)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    for signature in ("serving_default", "encoded_frames", "features", "describe"):
        assert f'SignatureDef key: "{signature}"' in shown
    assert "shape: (-1, 10, 48, 64, 3)" in shown
    scores = np.load(tmp_path / "out" / "scores.npy")
    expected = model(clips.astype("float32"), training=False).numpy()
    # Float32 sums in another order.
    np.testing.assert_allclose(scores, expected, atol=1e-5)
