"""Looking for NVIDIA GPUs, on machines that are made up."""

import importlib.metadata
import os
import sys

import pytest

from keras_tdn import gpus
from keras_tdn.gpus import unseen_gpu_advice, unseen_gpu_line


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Linux machine with no GPU; its folder."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(gpus, "DEVICE_FILES", str(tmp_path / "dev/nvidia[0-9]*"))
    monkeypatch.setattr(gpus, "DRIVER_FOLDERS", str(tmp_path / "proc/*"))
    monkeypatch.setattr(gpus, "WSL_DEVICE", str(tmp_path / "dev/dxg"))
    monkeypatch.setattr(gpus, "WSL_LIBRARY", str(tmp_path / "libcuda.so.1"))
    monkeypatch.setattr(gpus, "visible_accelerators", lambda backend: [])
    monkeypatch.setattr(gpus, "_has_cuda", lambda backend: False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("dev", "proc", "bin"):
        (tmp_path / folder).mkdir()
    return tmp_path


def add_gpu(machine):
    (machine / "dev" / "nvidia0").touch()
    (machine / "proc" / "0000:01:00.0").mkdir()


def add_nvidia_smi(machine, script):
    file = machine / "bin" / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def add_wsl(machine):
    (machine / "dev" / "dxg").touch()
    (machine / "libcuda.so.1").touch()


needs_sh = pytest.mark.skipif(os.name != "posix", reason="needs a shell's script")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("tensorflow", r"TensorFlow does not see.*pip install 'keras-tdn\[cuda\]'"),
        ("jax", r"JAX does not see.*pip install 'keras-tdn\[jax-cuda\]'"),
        ("torch", r"PyTorch does not see.*install PyTorch with CUDA"),
    ],
)
def test_a_gpu_that_the_backend_does_not_see(machine, backend, message):
    add_gpu(machine)
    line = unseen_gpu_line(backend)
    assert "\n" not in line
    assert "keras-tdn doctor" in line
    with pytest.raises(ValueError, match=message):
        raise ValueError(line)


@pytest.mark.parametrize(
    "add",
    [
        add_gpu,
        add_wsl,
        pytest.param(lambda machine: add_nvidia_smi(machine, "echo H200"), marks=needs_sh),
    ],
    ids=["device", "WSL", "nvidia-smi"],
)
def test_where_a_gpu_is_found(machine, add):
    assert not gpus.has_nvidia_gpu()
    assert unseen_gpu_line("tensorflow") is None
    add(machine)
    assert gpus.has_nvidia_gpu()
    assert unseen_gpu_line("tensorflow") is not None


@needs_sh
@pytest.mark.parametrize("script", ["exit 9", "echo", "kill -9 $$", "exec sleep 60"])
def test_an_nvidia_smi_that_finds_none(machine, monkeypatch, script):
    """As in an image that was made for machines with a GPU; `PATH` has no `sleep`."""
    monkeypatch.setattr(gpus, "NVIDIA_SMI_SECONDS", 1.0)
    add_nvidia_smi(machine, script.replace("sleep", "/bin/sleep"))
    assert gpus.nvidia_gpu_names() == []
    assert unseen_gpu_line("tensorflow") is None


@needs_sh
def test_names(machine):
    add_nvidia_smi(machine, "echo NVIDIA H200; echo NVIDIA L4")
    assert gpus.nvidia_gpu_names() == ["NVIDIA H200", "NVIDIA L4"]


def test_a_gpu_that_the_backend_sees(machine, monkeypatch):
    add_gpu(machine)
    monkeypatch.setattr(gpus, "visible_accelerators", lambda backend: ["GPU:0"])
    assert unseen_gpu_line("tensorflow") is None


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("CUDA_VISIBLE_DEVICES", "-1", {"tensorflow", "jax", "torch"}),
        ("CUDA_VISIBLE_DEVICES", "", {"tensorflow", "jax", "torch"}),
        ("CUDA_VISIBLE_DEVICES", "0,1", set()),
        ("JAX_PLATFORMS", "cpu", {"jax"}),
        ("JAX_PLATFORMS", "cuda,cpu", set()),
        ("JAX_PLATFORMS", "", set()),
    ],
)
def test_a_gpu_that_the_user_hides(machine, monkeypatch, name, value, hidden):
    add_gpu(machine)
    monkeypatch.setenv(name, value)
    for backend in ("tensorflow", "jax", "torch"):
        assert (unseen_gpu_line(backend) is None) == (backend in hidden)
        found = gpus.gpus_are_hidden(backend)
        assert found == (f"{name}={value}" if backend in hidden else None)


def test_a_container_that_was_given_none(machine):
    (machine / "proc" / "0000:01:00.0").mkdir()
    assert "--gpus all" in unseen_gpu_line("tensorflow")
    # Linux inside Windows has no such files.
    add_wsl(machine)
    assert "keras-tdn[cuda]" in unseen_gpu_line("tensorflow")


def test_cuda_that_is_there_already(machine, monkeypatch):
    add_gpu(machine)
    monkeypatch.setattr(gpus, "_has_cuda", lambda backend: True)
    assert "update the NVIDIA driver: CUDA is installed beside JAX" in unseen_gpu_line("jax")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [("nvidia-cudnn-cu12", {"tensorflow"}), ("jax-cuda13-plugin", {"jax"})],
)
def test_packages_that_bring_cuda(monkeypatch, installed, expected):
    def version(name):
        if name != installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {backend for backend in ("tensorflow", "jax") if gpus._has_cuda(backend)}
    assert found == expected


def test_other_systems(machine, monkeypatch):
    add_gpu(machine)
    monkeypatch.setattr(sys, "platform", "win32")
    assert "inside WSL2" in unseen_gpu_advice("tensorflow")
    assert "inside WSL2" in unseen_gpu_advice("jax")
    assert "install PyTorch with CUDA" in unseen_gpu_advice("torch")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert unseen_gpu_line("tensorflow") is None
