"""Exports from a process in which Keras runs on JAX or PyTorch."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_tdn.export.served_model import ServedModel
from keras_tdn.pretrained import save_preset
from keras_tdn.processes import run_command

ERROR_PREFIX = "keras-tdn: error: "


def export_in_tensorflow(served: ServedModel, arguments: Sequence[str]) -> None:
    """Runs `keras-tdn export` on the TensorFlow backend in a process of its own.

    A backend is chosen for a whole process; a preset carries the model from one to the other.

    Args:
        served: What is exported.
        arguments: Of the command, besides `--weights` and `--top`.
    """
    with tempfile.TemporaryDirectory() as folder:
        preset = Path(folder) / "preset"
        save_preset(served.model, preset, labels=served.labels)
        result = run_command(
            ["export", "--weights", str(preset), "--top", str(served.top), *arguments],
            KERAS_BACKEND="tensorflow",
            # This process may hold all of a GPU's memory, and writing needs none.
            CUDA_VISIBLE_DEVICES="-1",
        )
    if result.returncode:
        reason = _reason(result.stderr) or f"exit status {result.returncode}"
        raise ValueError(
            f"Keras runs on {keras.backend.backend()} here, and exports are written by "
            f"TensorFlow, in a process that was started with KERAS_BACKEND=tensorflow. It failed: "
            f"{reason}"
        )


def _reason(stderr: str) -> str:
    """Returns the message of the command's error, or else the last line."""
    stderr = stderr.strip()
    _, told, message = stderr.rpartition(ERROR_PREFIX)
    if not told:
        return stderr.rpartition("\n")[2]
    first, newline, more = message.partition("\n")
    # The command indents what follows.
    return first + newline + textwrap.dedent(more)
