"""Presets and weights files with seeded damage: an error, or equal to the original.

Each kind runs in a child process, because a damaged HDF5 file is the C library's to parse: a crash
or a hang shows as one. `KERAS_TDN_FUZZ` sets the number of mutations of each kind.
"""

import json
import os
import pathlib

import keras
import numpy as np
import pytest
import safetensors.numpy
from forked_python import run_python

import keras_tdn
from keras_tdn.pretrained import save_preset

MUTATIONS = int(os.environ.get("KERAS_TDN_FUZZ", "20"))
CHILD = pathlib.Path(__file__).with_name("fuzz_child.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("fuzz")
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, classes=2, num_segments=2, labels=["jump", "run"]
    )
    save_preset(model, folder / "preset")
    rng = np.random.default_rng(0)
    arrays = imagenet_arrays(model, rng)
    safetensors.numpy.save_file(arrays, folder / "resnet.safetensors")
    return folder


def imagenet_arrays(model, rng):
    from keras_tdn.pretrained import imagenet

    arrays = {}
    for binding in imagenet._bindings(model):
        for name in binding.names:
            arrays[name] = rng.uniform(0.1, 1, binding.shape).astype(np.float32)
    return arrays


def fuzz(kind, folder, work):
    work.mkdir()
    result = run_python(
        "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], None, '__main__')",
        *(CHILD, kind, folder, work, MUTATIONS),
        environment={**os.environ, "PYTHONFAULTHANDLER": "1"},
        timeout=60 + 6 * MUTATIONS,
    )
    assert result.returncode == 0, f"{result.stdout[-500:]}\n{result.stderr[-2000:]}"
    counts = json.loads(result.stdout.splitlines()[-1])
    assert sum(counts.values()) == MUTATIONS
    return counts


# What a mutation may come to: an error that is ours, or the original.
@pytest.mark.parametrize(
    "kind",
    [
        "config",
        "config_sums",
        "config_sealed",
        "logits_sums",
        "sums",
        "weights",
        "weights_sums",
        "listed_weights",
        "listed_safetensors",
    ],
)
def test_whatever_has_a_hash_is_refused_or_equal(kind, folder, tmp_path):
    counts = fuzz(kind, folder, tmp_path / "work")
    assert set(counts) <= {"error", "equal"}
    assert counts["error"] > 0


# A changed bit in a number is another number, and nothing in such a file tells: what must hold is
# that all else is noticed.
@pytest.mark.parametrize("kind", ["weights_sealed", "bare_weights", "bare_safetensors"])
def test_a_file_without_a_hash_gives_an_error_or_finite_numbers(kind, folder, tmp_path):
    counts = fuzz(kind, folder, tmp_path / "work")
    assert set(counts) <= {"error", "equal", "other numbers"}
