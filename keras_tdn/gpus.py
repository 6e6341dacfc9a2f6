"""GPUs that the machine has, what to install where a backend does not see them, and who uses them.

Plain `pip install tensorflow` and `pip install jax` bring no CUDA, and neither says so.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import shutil
import sys

from keras_tdn.processes import output_of
from keras_tdn.version import installed_version

# A container on a machine with a GPU sees the driver's folder, but the device only if it was given.
DEVICE_FILES = "/dev/nvidia[0-9]*"
DRIVER_FOLDERS = "/proc/driver/nvidia/gpus/*"
# Of the Linux inside Windows, which has one device for the GPUs of all makers.
WSL_DEVICE = "/dev/dxg"
WSL_LIBRARY = "/usr/lib/wsl/lib/libcuda.so.1"
NVIDIA_SMI_SECONDS = 10.0

BACKEND_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_ADVICE = {
    "tensorflow": "pip install 'keras-tdn[cuda]'",
    "jax": "pip install 'keras-tdn[jax-cuda]'",
    "torch": "install PyTorch with CUDA: https://pytorch.org/get-started/locally/",
}
# What brings CUDA to these; PyTorch says itself what it was built with.
_CUDA_PACKAGES = {
    "tensorflow": ("nvidia-cudnn-cu12",),
    "jax": ("jax-cuda12-plugin", "jax-cuda13-plugin"),
}


def has_nvidia_gpu() -> bool:
    """Whether the machine has an NVIDIA GPU, whatever the installed packages can do with it."""
    on_wsl = os.path.exists(WSL_DEVICE) and os.path.exists(WSL_LIBRARY)
    there = glob.glob(DEVICE_FILES) or glob.glob(DRIVER_FOLDERS)
    return bool(there or on_wsl or nvidia_gpu_names())


def nvidia_gpu_names() -> list[str]:
    """What nvidia-smi calls the GPUs; none where there is no nvidia-smi, or it finds none."""
    program = shutil.which("nvidia-smi")
    query = "--query-gpu=name", "--format=csv,noheader"
    names = program and output_of(program, *query, timeout=NVIDIA_SMI_SECONDS)
    return [line.strip() for line in (names or "").splitlines() if line.strip()]


def gpus_are_hidden(backend: str) -> str | None:
    """The variable with which the user keeps `backend` off the GPUs, as `"NAME=value"`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # CUDA takes the devices in front of the first that there is not.
    if visible is not None and visible.split(",")[0].strip() in ("", "-1", "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES={visible}"
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if backend == "jax" and platforms and not {"cuda", "gpu"} & {*platforms.split(",")}:
        return f"JAX_PLATFORMS={platforms}"
    return None


def visible_accelerators(backend: str) -> list[str]:
    """The devices other than CPUs that `backend` sees; imports it and allocates nothing."""
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices()
        return [device.name for device in devices if device.device_type != "CPU"]
    if backend == "jax":
        import jax

        return [str(device) for device in jax.devices() if device.platform != "cpu"]
    if backend == "torch":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count)]
        return names or (["mps"] if torch.backends.mps.is_available() else [])
    return []


def unseen_gpu_advice(backend: str) -> str:
    """What to do where `backend` does not see an NVIDIA GPU that the machine has."""
    # TensorFlow and JAX have no wheels for them.
    if sys.platform == "win32" and backend != "torch":
        return "run it inside WSL2, or set KERAS_BACKEND=torch and install PyTorch with CUDA"
    on_wsl = os.path.exists(WSL_DEVICE)
    if glob.glob(DRIVER_FOLDERS) and not glob.glob(DEVICE_FILES) and not on_wsl:
        return (
            "give it to this process, which has no /dev/nvidia0: start a container with "
            "`--gpus all`, or run nvidia-smi to see what is wrong with the driver"
        )
    if _has_cuda(backend):
        return (
            f"update the NVIDIA driver: CUDA is installed beside {BACKEND_NAMES[backend]} and "
            "cannot be used, and nvidia-smi shows whether the driver works"
        )
    return _ADVICE.get(backend, _ADVICE["tensorflow"])


def unseen_gpu_line(backend: str) -> str | None:
    """One line for a computation that starts on a CPU beside an unused NVIDIA GPU, or `None`."""
    # macOS has no driver for them.
    if sys.platform == "darwin" or gpus_are_hidden(backend) or visible_accelerators(backend):
        return None
    if not has_nvidia_gpu():
        return None
    name, advice = BACKEND_NAMES.get(backend, backend), unseen_gpu_advice(backend)
    return (
        f"This runs on the CPU: the machine has an NVIDIA GPU that {name} does not see. To use it, "
        f"{advice} (`keras-tdn doctor` says more)."
    )


def _has_cuda(backend: str) -> bool:
    if backend == "torch":
        import torch

        return torch.version.cuda is not None
    return any(map(installed_version, _CUDA_PACKAGES.get(backend, ())))


def leave_gpus_to_backend() -> None:
    """Keeps TensorFlow off the GPUs unless Keras runs on it; before it reads or draws anything."""
    import keras

    if keras.backend.backend() != "tensorflow":
        keep_tensorflow_off_gpus()


def keep_tensorflow_off_gpus() -> None:
    """Has TensorFlow make the clips on CPUs, and leave the GPUs to another backend.

    TensorFlow takes all of their memory when it first computes anything. `device_scope`,
    `make_dataset` and `evaluate` do this before; after, it is too late and does nothing.
    """
    if importlib.util.find_spec("tensorflow") is None:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
