"""Exporting to ONNX, OpenVINO or LiteRT, for runtimes without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_tdn.export.formats import PORTABLE_FORMATS, PortableFormat
from keras_tdn.export.saved_model import quiet_tensorflow
from keras_tdn.export.served_model import ServedModel, export_in_tensorflow, write_manifest
from keras_tdn.files.atomic import check_free, written_beside
from keras_tdn.models import TDNResNet

if TYPE_CHECKING:
    from keras_tdn.inference.inference_network import FoldedNetwork


def export_portable(
    model: TDNResNet,
    path: str | os.PathLike[str],
    format: str,
    *,
    dtype: str = "float32",
    labels: Sequence[str] | None = None,
) -> Path:
    """Writes a model for ONNX Runtime, OpenVINO or LiteRT, in a folder with labels beside it.

    Use it where TensorFlow is not an option. The network is that of `export_saved_model`: it takes
    `clips`, uint8 pixels `(batch, num_frames, height, width, 3)`, and gives scores `(batch,
    classes)`, float32 probabilities. Batches may have any size from one clip; LiteRT wants the
    input resized first. Beside it lie `keras_tdn.json` and `labels.txt`, as in a SavedModel's
    assets: sampling, resizing and naming are the caller's.

    Args:
        model: A `TDNResNet` with its classifier.
        path: Folder to write; nothing may be there.
        format: `"onnx"`, `"openvino"` or `"litert"`.
        dtype: How weights are stored: `"float32"`; for OpenVINO and LiteRT `"float16"`, half as
            large; for LiteRT also `"int8"`, a quarter. The runtime chooses what to compute in.
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
        return export_in_tensorflow(served, format, path, dtype)
    with written_beside(path) as new, quiet_tensorflow():
        new.mkdir()
        write_manifest(served, dtype, new)
        _write(served, kind, dtype, new / kind.file)
    return path


def _write(served: ServedModel, kind: PortableFormat, dtype: str, file: Path) -> None:
    from keras_tdn.inference.inference_network import FoldedNetwork

    model, spec = served.model, served.model.clip_spec
    clips = keras.Input((spec.num_frames, spec.height, spec.width, 3), dtype="uint8", name="clips")
    folded = FoldedNetwork(model, portable=True)
    scores = _Scores(folded, model.classes, name="scores")(clips)
    network = keras.Model(clips, scores, name=model.name)
    # Keras exports to ONNX what has been called.
    network(clips)
    options: dict[str, Any] = {}
    if kind.name == "litert" and dtype != "float32":
        import tensorflow as tf

        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if dtype == "float16":
            options["target_spec"] = {"supported_types": [tf.float16]}
    network.export(str(file), format=kind.name, verbose=False, **options)
    if kind.name == "openvino" and dtype == "float16":
        import openvino

        written = openvino.Core().read_model(file)
        smaller = file.with_name(f"float16_{file.name}")
        openvino.save_model(written, smaller, compress_to_fp16=True)
        # The weights of what was read are mapped into memory until here.
        del written
        for suffix in (".xml", ".bin"):
            os.replace(smaller.with_suffix(suffix), file.with_suffix(suffix))


class _Scores(keras.layers.Layer):
    def __init__(self, network: FoldedNetwork, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._network, self._classes = network, classes

    def call(self, clips: Any) -> Any:
        return self._network.probabilities(clips)

    def compute_output_spec(self, clips: Any) -> keras.KerasTensor:
        return keras.KerasTensor((clips.shape[0], self._classes), dtype="float32")
