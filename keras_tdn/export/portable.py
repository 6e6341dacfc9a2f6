"""A model as ONNX, OpenVINO or LiteRT, for runtimes that need no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_tdn.export.formats import PORTABLE_FORMATS, PortableFormat
from keras_tdn.export.manifest import describe_export, write_manifest
from keras_tdn.export.quiet_tensorflow import quiet_tensorflow
from keras_tdn.export.served_model import ServedModel
from keras_tdn.files.atomic import check_free, written_beside
from keras_tdn.models import TDNResNet


def export_portable(
    model: TDNResNet,
    path: str | os.PathLike[str],
    format: str,
    *,
    dtype: str = "float32",
    labels: Sequence[str] | None = None,
) -> Path:
    """Writes a model for ONNX Runtime, OpenVINO or LiteRT, in a folder with labels beside it.

    Use it where TensorFlow is not wanted. The network is that of `export_saved_model`: it takes
    `clips`, uint8 pixels `(batch, num_frames, height, width, 3)`, and gives scores `(batch,
    classes)`, float32 probabilities. Batches may have any size from one clip; LiteRT wants the
    input resized first. It is written by Keras' `model.export`. Beside it lie `keras_tdn.json` and
    `labels.txt`, as in a SavedModel's assets: sampling, resizing and naming are the caller's.

    Args:
        model: A `TDNResNet` with its classifier.
        path: Folder to write; nothing may be there.
        format: `"onnx"`, `"openvino"` or `"litert"`.
        dtype: How weights are stored: `"float32"`; for OpenVINO and LiteRT `"float16"`, half as
            large; for LiteRT also `"int8"`, a quarter. What is computed in is the runtime's choice.
        labels: Class names in the order of the scores. `None` takes the model's own.

    Returns:
        The path.

    Raises:
        ValueError: if the model has no classifier or no labels, or an argument does not fit.
        ImportError: if what the format needs is not installed; with the extra that has it.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> keras_tdn.export.export_portable(model, "exported/onnx", "onnx")
    >>> session = onnxruntime.InferenceSession("exported/onnx/model.onnx")
    >>> session.run(None, {"clips": clips})
    """
    if format not in PORTABLE_FORMATS:
        raise ValueError(
            f"`format` is one of {list(PORTABLE_FORMATS)}; a SavedModel is written by "
            f"export_saved_model. Received: format={format!r}"
        )
    kind = PORTABLE_FORMATS[format]
    served = ServedModel.of(model, labels, top=1)
    kind.check(dtype)
    path = Path(path)
    check_free(path, overwrite=False)
    if keras.backend.backend() != "tensorflow":
        from keras_tdn.export.other_backend import export_in_tensorflow

        options = ["--format", format, "--output", str(path), "--dtype", dtype]
        export_in_tensorflow(served, options)
        return path
    with written_beside(path) as new, quiet_tensorflow():
        new.mkdir()
        write_manifest(describe_export(served, dtype), new)
        _write(served, kind, dtype, new / kind.file)
    return path


def _write(served: ServedModel, kind: PortableFormat, dtype: str, file: Path) -> None:
    from keras_tdn.export.keras_network import as_keras_model

    options: dict[str, Any] = {}
    if kind.name == "litert" and dtype != "float32":
        import tensorflow as tf

        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if dtype == "float16":
            options["target_spec"] = {"supported_types": [tf.float16]}
    network = as_keras_model(served.model)
    network.export(str(file), format=kind.name, verbose=False, **options)
    if kind.name == "openvino" and dtype == "float16":
        _store_as_float16(file)


def _store_as_float16(file: Path) -> None:
    import openvino

    model = openvino.Core().read_model(file)
    smaller = file.with_name(f"float16_{file.name}")
    openvino.save_model(model, smaller, compress_to_fp16=True)
    # The weights of what was read are mapped into memory until here.
    del model
    for suffix in (".xml", ".bin"):
        os.replace(smaller.with_suffix(suffix), file.with_suffix(suffix))
