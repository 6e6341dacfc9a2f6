"""What importing the package costs, and that its surface is complete."""

import subprocess
import sys

import pytest

import keras_tdn


def run(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_import_loads_no_decoder_network_or_other_backend():
    # Keras itself imports h5py and, where installed, huggingface_hub; what it loads is its own.
    code = """
import sys, keras
before = set(sys.modules)
import keras_tdn
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""
    ours = set(run(code))
    assert "keras_tdn" in ours
    assert not ours & {"av", "huggingface_hub", "safetensors", "tensorflow", "jax", "torch"}
    assert not ours & {"gradio", "fastapi", "uvicorn"}


@pytest.mark.parametrize("name", keras_tdn.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keras_tdn, name) is not None


def test_saved_models_load_without_naming_a_class(tmp_path):
    file = tmp_path / "model.keras"
    keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=3, num_segments=2).save(file)
    code = (
        "import sys, keras_tdn, keras; model = keras.saving.load_model(sys.argv[1]);"
        "print(type(model).__name__, model.num_segments)"
    )
    assert run(code, str(file)) == ["TDNResNet", "2"]
