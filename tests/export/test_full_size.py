"""A whole ResNet50 in every format: what is exact for a few channels could still add up.

Eight segments of 112 pixels, which takes a quarter of the time of 224 and runs the same layers.
"""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from test_portable import PACKAGES, ask
from test_saved_model import PLAIN_TENSORFLOW

import keras_tdn
from keras_tdn.export import export_portable, export_saved_model, portable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="writes in this process on TensorFlow"
    ),
]

SEGMENTS, SIZE, CLASSES = 8, 112, 174
# The issue's, relative.
BOUND = 1e-4


@pytest.fixture(scope="module")
def model():
    model = keras_tdn.TDNResNet50(
        classes=CLASSES,
        labels=[f"class {number}" for number in range(CLASSES)],
        input_shape=(5 * SEGMENTS, SIZE, SIZE, 3),
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # As after training: norms that do something, residual branches that add little.
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "gamma" in weight.path:
            low, high = (0.1, 0.3) if "norm3" in weight.path else (0.7, 1.3)
            weight.assign(rng.uniform(low, high, weight.shape))
        elif "beta" in weight.path or "moving_mean" in weight.path:
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.path.endswith("classifier/kernel"):
            weight.assign(rng.normal(0, 0.05, weight.shape))
    return model


@pytest.fixture(scope="module")
def clips(model, make_clips):
    return make_clips(model.clip_spec)


@pytest.fixture(scope="module")
def expected(model, clips):
    scores = model(clips.astype("float32"), training=False).numpy()
    # Classes and clips are told apart, or a wrong answer would go unnoticed.
    assert scores.std(axis=1).min() > 1e-3
    apart = np.linalg.norm(scores - np.roll(scores, 1, axis=0), axis=1)
    assert (apart / np.linalg.norm(scores, axis=1)).min() > 30 * BOUND
    return scores


def check(one, every, expected):
    for actual, wanted in ((one, expected[:1]), (every, expected)):
        assert actual.shape == wanted.shape
        error = np.linalg.norm(actual - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
        # Float32 sums of up to 4608 products in another order are off by some 1e-6.
        assert error.max() < BOUND


def test_saved_model(model, clips, expected, tmp_path):
    folder = export_saved_model(model, tmp_path / "served" / "1", warm_up=False)
    questions = {"serving_default/1": clips[:1], "serving_default/3": clips}
    files = tmp_path / "questions.npz", tmp_path / "answers.npz"
    np.savez(files[0], **questions)
    arguments = [str(path) for path in (folder, *files)]
    subprocess.run([sys.executable, "-c", PLAIN_TENSORFLOW, *arguments], check=True, cwd=tmp_path)
    with np.load(files[1]) as answers:
        check(*(answers[f"{question}/scores"] for question in questions), expected)


@pytest.mark.parametrize("format", ["onnx", "openvino", "litert"])
def test_in_its_own_runtime(model, clips, expected, tmp_path, format):
    needed = (*portable.PORTABLE_FORMATS[format].modules, PACKAGES[format])
    if any(importlib.util.find_spec(name) is None for name in needed):
        pytest.skip(f"needs keras-tdn[{format}]")
    folder = export_portable(model, tmp_path / "model", format)
    check(*ask(format, folder, clips, tmp_path), expected)
