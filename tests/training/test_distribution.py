"""Training on several devices and in several processes equals training on one.

In processes of their own (`distributed_run.py`), because devices are divided before anything else.
`KERAS_TDN_DEVICES=1` adds replicas whose norms are not synchronised, which must differ, one JAX
process with two devices, and the example for several machines.
"""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import synthetic_videos

from keras_tdn import TDNResNet
from keras_tdn.pretrained import load_preset
from keras_tdn.training import distribution, recipes
from keras_tdn.training.distribution import Devices, device_scope, join_processes

BACKEND = keras.backend.backend()
RUN = Path(__file__).with_name("distributed_run.py")
# Of a machine on which other tests run too.
TIMEOUT_SECONDS = 1200
ALL_CASES = bool(os.environ.get("KERAS_TDN_DEVICES"))
only_asked = pytest.mark.skipif(not ALL_CASES, reason="takes long: set KERAS_TDN_DEVICES=1")
# Keras computes and averages losses in float32: of order one, they have roundings of 1e-7.
LOSS_TOLERANCE = 1e-6
# The model computes in float64, so that only the loss's roundings remain, as they reach gradients.
MIRRORED_TOLERANCE = 1e-7
# All in float32: sums over a batch are added up in another order, and some averages of variances
# are of order ten. Seen: 2e-5 on a CPU without AVX-512, less with it.
JAX_TOLERANCE = 5e-5

on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="MirroredStrategy is TensorFlow")
with_jax = pytest.mark.skipif(
    BACKEND == "torch" or importlib.util.find_spec("jax") is None,
    reason="needs jax, in the run of another backend than PyTorch",
)


def launch(output, backend, runs, **environment):
    root = str(Path(__file__).parents[2])
    output.mkdir()
    return subprocess.Popen(
        [sys.executable, str(RUN), str(output), *runs],
        env=os.environ
        | {"KERAS_BACKEND": backend, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(*children):
    try:
        for child in children:
            text, _ = child.communicate(timeout=TIMEOUT_SECONDS)
            assert child.returncode == 0, text[-4000:]
    finally:
        for child in children:
            child.kill()


def results(path):
    with np.load(path) as archive:
        names = archive["names"].tolist()
        return {name: archive[f"array{index}"] for index, name in enumerate(names)}


def differences(one, other):
    """The largest difference of losses, and of variables of the model and the optimizer."""
    assert one.keys() - {"validation"} == other.keys() - {"validation"}
    variables = [name for name in one if name.startswith("variable/")]
    # Among them the averages of batch norms, momentum and averaged weights.
    assert len(variables) == 400
    assert np.all([np.isfinite(other[name]).all() for name in variables])
    return (
        np.abs(one["losses"] - other["losses"]).max(),
        max(np.abs(one[name] - other[name]).max() for name in variables),
    )


def assert_equal(one, other, tolerance):
    losses, variables = differences(one, other)
    assert losses < LOSS_TOLERANCE
    assert variables < tolerance
    assert abs(other["validation"] - one["validation"]) < LOSS_TOLERANCE


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    output = tmp_path_factory.mktemp("mirrored") / "runs"
    more = ["2+eager"] if ALL_CASES else []
    wait_for(launch(output, "tensorflow", ["1+eager", "2+sync", *more]))
    return {path.stem: results(path) for path in output.glob("*.npz")}


@on_tensorflow
@pytest.mark.slow
def test_mirrored_strategy_equals_one_device(mirrored):
    one, two = mirrored["1+eager"], mirrored["2+sync"]
    assert two["devices"] == 2
    assert not two["whole_batches"]
    assert_equal(one, two, MIRRORED_TOLERANCE)


@only_asked
@on_tensorflow
def test_without_synchronised_norms_it_does_not(mirrored):
    losses, variables = differences(mirrored["1+eager"], mirrored["2+eager"])
    assert losses > 1e-3
    assert variables > 0.1


JAX_QUICKLY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


@pytest.fixture(scope="module")
def data_parallel(tmp_path_factory):
    """Runs of one process whose processor passes for two devices."""
    output = tmp_path_factory.mktemp("data_parallel") / "runs"
    two_devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    runs = ["1", "2"] if ALL_CASES else ["1"]
    wait_for(launch(output, "jax", runs, **JAX_QUICKLY, **two_devices))
    return {path.stem: results(path) for path in output.glob("*.npz")}


@only_asked
@with_jax
def test_data_parallel_equals_one_device(data_parallel):
    one, two = data_parallel["1"], data_parallel["2"]
    assert two["devices"] == 2
    assert (two["processes"], two["whole_batches"]) == (1, True)
    assert not one["whole_batches"]
    assert_equal(one, two, JAX_TOLERANCE)


@with_jax
@pytest.mark.slow
def test_two_processes_equal_one(data_parallel, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    children = [
        launch(
            tmp_path / str(index),
            "jax",
            ["auto"],
            **JAX_QUICKLY,
            KERAS_DISTRIBUTION_JOB_ADDRESSES=f"127.0.0.1:{port}",
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(index),
        )
        for index in range(2)
    ]
    wait_for(*children)
    for index in range(2):
        two = results(tmp_path / str(index) / "auto.npz")
        assert two["devices"] == two["processes"] == 2
        assert two["whole_batches"]
        assert_equal(data_parallel["1"], two, JAX_TOLERANCE)


SMALL_EXAMPLE = """
import dataclasses, runpy, sys
import keras_tdn
from keras_tdn.training import StepDecay, recipes

def small_network(weights, classes, labels):
    assert weights == "imagenet"
    without = dict.fromkeys(("short_term", "long_term", "temporal_shift"), False)
    shape = {"num_segments": 2, "input_shape": (10, 32, 32, 3), "dropout_rate": 0.0}
    names = {"classes": classes, "labels": labels}
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=8, **names, **shape, **without)

keras_tdn.TDNResNet50 = small_network
small = {"batch_size": 4, "epochs": 2, "schedule": StepDecay((1,)), "crop_size": 32}
recipes.kinetics400 = dataclasses.replace(recipes.kinetics400, **small)
runpy.run_path(sys.argv[1])["main"](*sys.argv[2:])
"""


@only_asked
@with_jax
def test_the_example_on_two_machines(tmp_path):
    for number in range(12):
        content = synthetic_videos.encode_video(12, size=(32, 48), first=9 * number)
        (tmp_path / f"{number}.mp4").write_bytes(content)
    for name, numbers in (("train", range(8)), ("validate", range(8, 12))):
        lines = [f"{number}.mp4 {('jump', 'run')[number % 2]}\n" for number in numbers]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    root = Path(__file__).parents[2]
    arguments = [root / "examples" / "train_on_several_machines.py", "train.txt", "validate.txt"]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", SMALL_EXAMPLE, *arguments, "imagenet", "run"],
            cwd=tmp_path,
            env=os.environ
            | JAX_QUICKLY
            | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
            | {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
            | {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
            | {"KERAS_DISTRIBUTION_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]
    wait_for(*children)
    assert load_preset(tmp_path / "run" / "preset").labels == ("jump", "run")
    logs = [(tmp_path / "run" / name / "log.csv").read_text() for name in (".", "process1")]
    # Both tell the figures of the whole batches.
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == 3


@pytest.mark.parametrize("devices", ["auto", 1])
def test_one_device_is_plain_keras(devices):
    with device_scope(devices) as on:
        assert on == Devices()
        assert on.shard == (0, 1)
        assert on.is_first
        assert on.batch_size(7) == 7
        model = TDNResNet((1, 1, 1, 1), width=16, classes=2, num_segments=2)
    assert getattr(model, "_distribute_strategy", None) is None
    assert keras.distribution.distribution() is None


@pytest.mark.parametrize("devices", [0, -1, True, 1.0, "all", None])
def test_bad_numbers_of_devices(devices):
    with pytest.raises(ValueError, match='"auto" or a positive number'), device_scope(devices):
        pass


def test_more_devices_than_there_are():
    message = "no training on several devices" if BACKEND == "torch" else "not so many devices"
    with pytest.raises(ValueError, match=message), device_scope(99):
        pass


def test_parts_of_a_batch():
    devices = Devices(num_devices=8, num_processes=2, process_index=1)
    assert devices.batch_size(64) == 32
    assert devices.shard == (1, 2)
    assert not devices.is_first
    with pytest.raises(ValueError, match=r"batch_size=63[.] Use 56 or"):
        devices.batch_size(63)
    with pytest.raises(ValueError, match=r"batch_size=4[.] Use 8 or"):
        devices.batch_size(4)


def test_several_processes_are_for_jax(monkeypatch):
    monkeypatch.delenv("KERAS_DISTRIBUTION_NUM_PROCESSES", raising=False)
    message = "How many processes" if BACKEND == "jax" else "set KERAS_BACKEND=jax"
    with pytest.raises(ValueError, match=message):
        join_processes()


@pytest.mark.skipif(BACKEND == "torch", reason="device_scope is nothing on PyTorch")
def test_processes_join_before_anything_is_computed(monkeypatch):
    """In this process something has been computed, or another backend is in use."""
    keras.ops.ones(1)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    message = "first in the program" if BACKEND == "jax" else "set KERAS_BACKEND=jax"
    with pytest.raises(ValueError, match=message), device_scope():
        pass


def test_overflow_is_looked_for_on_one_replica_only(monkeypatch):
    monkeypatch.setattr("keras_tdn.training.recipe.num_replicas", lambda: 2)
    model = TDNResNet((1, 1, 1, 1), width=16, classes=2, num_segments=2, dtype="mixed_float16")
    with pytest.raises(ValueError, match="mixed_float16 is for one device"):
        recipes.finetune_small.compile(model, 1)


def test_gradients_are_not_accumulated_on_replicas(monkeypatch):
    from keras_tdn.training import CoupledSGD

    monkeypatch.setattr("keras_tdn.training.optimizer.num_replicas", lambda: 2)
    variable = keras.Variable(np.zeros(2, "float32"), name="kernel")
    optimizer = CoupledSGD(gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="not accumulated on several devices"):
        optimizer.apply([keras.ops.ones(2)], [variable])


def test_tensorflow_leaves_gpus_to_other_backends(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    calls = []
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda *arguments: calls.append(arguments)
    )
    with device_scope():
        assert calls == ([] if BACKEND == "tensorflow" else [([], "GPU")])


def test_number_of_replicas_without_a_strategy():
    assert distribution.num_replicas() == 1
