"""Logs for TensorBoard, where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras

FOLDER = "tensorboard"


def check_tensorboard() -> None:
    """Raises unless TensorBoard is installed: without it, TensorFlow fails at the first figure.

    Raises:
        ImportError: if it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "Logs for TensorBoard need the package tensorboard, which TensorFlow does not bring "
            'along any more. Install it: pip install "keras-tdn[tensorboard]"'
        )


def tensorboard_callback(output: Path) -> keras.callbacks.TensorBoard:
    """Keras' own callback, which writes to a subfolder of `output`.

    Raises:
        ImportError: if TensorBoard is not installed.
    """
    check_tensorboard()
    return keras.callbacks.TensorBoard(output / FOLDER)
