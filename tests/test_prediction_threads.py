"""A model may be asked by several threads, on every backend."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import prediction_threads
import pytest

import keras_tdn

OTHERS = [
    pytest.param("jax"),
    # Keep what they are given; JAX is what the test is for.
    pytest.param("torch", marks=pytest.mark.slow),
    pytest.param("tensorflow", marks=pytest.mark.slow),
]


def test_on_this_backend():
    prediction_threads.check()


@pytest.mark.parametrize("backend", OTHERS)
def test_on_another_backend(backend):
    if backend == keras.backend.backend():
        pytest.skip("is this process's own")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    child = subprocess.run(
        [sys.executable, prediction_threads.__file__],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert child.stdout == "equal\n", child.stderr[-2000:]


def test_nothing_asks_a_model_in_another_way():
    """Keras' own method loses variables to other threads, also those of models that share them."""
    package = Path(keras_tdn.__file__).parent
    # The one measures it, and the other is the way.
    expected = {"profiling/latency.py", "models/predicting.py"}
    asking = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\.predict(_on_batch)?\(", path.read_text(encoding="utf-8"))
    }
    assert {path for path in asking if not path.startswith("export/")} == expected
