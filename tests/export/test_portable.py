"""ONNX, OpenVINO and LiteRT, each in its own runtime and a fresh process without TensorFlow."""

import importlib.util
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_tdn.export import export_portable, portable

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="writes in this process on TensorFlow"
)

WITHOUT_TENSORFLOW = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *arguments):
        hidden = ("tensorflow", "keras", "keras_tdn", "torch", "jax")
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, *arguments)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy as np

file, questions, answers = sys.argv[1:]
clips = np.load(questions)
"""

RUNTIMES = {
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
def run(clips):
    return session.run(None, {"clips": clips})[0]
""",
    "openvino": """
import openvino
core = openvino.Core()
hint = {"INFERENCE_PRECISION_HINT": "f32"}
model = core.compile_model(core.read_model(file), "CPU", hint)
def run(clips):
    return model({"clips": clips})[model.output(0)]
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(file)
def run(clips):
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, clips.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, clips)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
""",
}
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "litert": "ai_edge_litert"}


def ask(format, folder, clips, tmp_path):
    """Scores of the first clip and of all of them."""
    np.save(tmp_path / "clips.npy", clips)
    save = "np.savez(answers, one=run(clips[:1]), all=run(clips))"
    code = WITHOUT_TENSORFLOW + RUNTIMES[format] + save
    file = folder / portable.PORTABLE_FORMATS[format].file
    arguments = [str(file), str(tmp_path / "clips.npy"), str(tmp_path / "answers.npz")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=tmp_path)
    with np.load(tmp_path / "answers.npz") as answers:
        return answers["one"], answers["all"]


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.fixture(scope="module")
def models(preset_model, build_model, make_clips):
    """By precision: a model, clips of videos, and their scores.

    In float32, maps have odd sizes. Halved, they are enlarged by 7/3, 9/4 and 13/6, as the last
    stage of 224 pixels is; ONNX has factors in place of sizes, and with float32's the rows did not
    come out.
    """

    def with_scores(model):
        clips = make_clips(model.clip_spec)
        return model, clips, model(clips.astype("float32"), training=False).numpy()

    small = with_scores(preset_model[0])
    odd = with_scores(build_model(input_shape=(10, 112, 146, 3)))
    return {"float32": odd, "float16": small, "int8": small}


@tensorflow_only
@pytest.mark.parametrize(
    ("format", "dtype", "bound", "size"),
    [
        # The bound; sums in another order are off by 1e-6.
        ("onnx", "float32", 1e-4, 1.0),
        ("openvino", "float32", 1e-4, 1.0),
        ("litert", "float32", 1e-4, 1.0),
        # Weights are off by 2 ** -12 each, or by a 254th of the greatest.
        ("openvino", "float16", 1e-3, 0.5),
        ("litert", "float16", 1e-3, 0.5),
        ("litert", "int8", 5e-2, 0.25),
    ],
)
def test_scores_in_its_own_runtime(models, tmp_path, format, dtype, bound, size):
    needed = (*portable.PORTABLE_FORMATS[format].modules, PACKAGES[format])
    if any(importlib.util.find_spec(name) is None for name in needed):
        pytest.skip(f"needs keras-tdn[{format}]")
    model, clips, expected = models[dtype]
    folder = export_portable(model, tmp_path / "model", format, dtype=dtype)
    one, every = ask(format, folder, clips, tmp_path)
    assert one.shape == (1, 5)
    assert relative_error(one, expected[:1]) < bound
    assert relative_error(every, expected) < bound
    weights = sum(4 * weight.size for weight in model.get_weights())
    files = [file for file in folder.iterdir() if file.suffix in (".onnx", ".bin", ".tflite")]
    stored = sum(file.stat().st_size for file in files)
    # The structure takes some 100 KB, which counts in a model as small as this.
    assert size * weights * 0.9 < stored < size * weights + 350_000
    manifest = json.loads((folder / "keras_tdn.json").read_text("utf-8"))
    assert manifest["dtype"] == dtype
    assert tuple((folder / "labels.txt").read_text("utf-8").splitlines()) == model.labels


@pytest.mark.parametrize(
    ("format", "dtype", "message"),
    [
        ("tflite", "float32", r"`format` is one of \['onnx', 'openvino', 'litert'\]"),
        ("saved_model", "float32", "is written by export_saved_model"),
        ("onnx", "float16", r"'onnx' are stored as one of \['float32'\].*dtype='float16'"),
        ("litert", "bfloat16", "Received: dtype='bfloat16'"),
    ],
)
def test_what_is_refused(preset_model, tmp_path, format, dtype, message):
    with pytest.raises(ValueError, match=message):
        export_portable(preset_model[0], tmp_path / "model", format, dtype=dtype)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("format", "module"),
    [("onnx", "tf2onnx"), ("openvino", "openvino"), ("openvino", "scipy")],
)
def test_without_its_package(preset_model, tmp_path, monkeypatch, format, module):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == module else find(name)
    )
    with pytest.raises(ImportError, match=rf"{module}.*: pip install 'keras-tdn\[{format}\]'"):
        export_portable(preset_model[0], tmp_path / "model", format)


def test_what_is_there_stays(preset_model, tmp_path):
    with pytest.raises(ValueError, match="exists"):
        export_portable(preset_model[0], tmp_path, "litert")


@tensorflow_only
def test_a_failure_leaves_nothing(preset_model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(OSError, match="No space left"):
        export_portable(preset_model[0], tmp_path / "model", "litert")
    assert list(tmp_path.iterdir()) == []
