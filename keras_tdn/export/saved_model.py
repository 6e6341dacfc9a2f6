"""A model as TensorFlow Serving takes it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_tdn.export.destination import check_version_folder
from keras_tdn.export.dtypes import FLOAT32, check_dtype
from keras_tdn.export.manifest import describe_export, write_manifest
from keras_tdn.export.quiet_tensorflow import quiet_tensorflow
from keras_tdn.export.served_model import ServedModel
from keras_tdn.export.serving_api import has_serving_api, import_serving_api
from keras_tdn.export.warm_up import write_warm_up
from keras_tdn.files.atomic import written_beside
from keras_tdn.models import TDNResNet

FORMAT = "saved_model"


def export_saved_model(
    model: TDNResNet,
    path: str | os.PathLike[str],
    *,
    top: int = 5,
    labels: Sequence[str] | None = None,
    dtype: str = FLOAT32,
    warm_up: bool | None = None,
) -> Path:
    """Writes a SavedModel that TensorFlow Serving loads, with preprocessing and labels inside.

    Use it to serve a trained model, or to run it where neither Keras nor this package is installed:
    plain `tf.saved_model.load` is enough. Signatures, each for batches of any size:

    - `serving_default` takes `clips`, uint8 pixels of the shape that the model's `clip_spec` tells,
      `(batch, num_frames, height, width, 3)`, and gives `scores` `(batch, classes)`, `labels`
      `(batch, top)`, strings, and `top_scores` `(batch, top)`, highest first. Scores are
      probabilities, also of a model that gives logits.
    - `encoded_frames` takes `encoded_frames`, JPEG or PNG files of any size as strings `(batch,
      num_frames)`, and gives the same. Frames are resized and cropped as in validation; tags that
      turn a picture are not read.
    - `features` takes `clips`, and gives `features`, one vector for each.
    - `describe` takes `request`, any strings `(batch,)`, and gives `manifest`, for each the content
      of `keras_tdn.json`.

    A clip's frames are those of `SegmentSampler(mode="center")`. In the folder `assets`,
    `keras_tdn.json` tells the clip specification, the labels, the hash of the weights and the
    preset's card, and `labels.txt` has the labels, one a line. With `keras-tdn[serving]` installed,
    `assets.extra` has requests that a server warms up with: one, two and four clips for each
    signature, the sizes that `examples/serving` lets the server make batches of.

    With Keras on JAX or PyTorch the model is handed as a preset to a process of its own, which runs
    on TensorFlow: a model that no preset can hold is refused.

    Args:
        model: A `TDNResNet` with its classifier.
        path: Folder to write, named by a version number: `"exported/tdn/1"`. It is written beside
            and renamed, so that a server that watches `exported/tdn` never sees half of it.
        top: How many classes an answer names; with fewer classes than that, all.
        labels: Class names in the order of the scores. `None` takes the model's own.
        dtype: `"float32"`, or `"bfloat16"`, which takes about half of the time on processors that
            have instructions for it. Scores are float32 in any case.
        warm_up: Whether to write warm-up requests. `None` does if their package is there.

    Returns:
        The path.

    Raises:
        ValueError: if the model has no classifier or no labels, if the path is none to write to, or
            if `dtype` is another.
        ImportError: with `warm_up=True`, if `keras-tdn[serving]` is not installed.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> keras_tdn.export.export_saved_model(model, "exported/tdn/1")
    >>> served = tf.saved_model.load("exported/tdn/1").signatures["serving_default"]
    >>> served(clips=clips)["labels"]
    """
    served = ServedModel.of(model, labels, top)
    check_dtype(dtype)
    path = check_version_folder(path)
    if warm_up is None:
        warm_up = has_serving_api()
    elif warm_up:
        import_serving_api("Writing warm-up requests")
    if keras.backend.backend() != "tensorflow":
        from keras_tdn.export.other_backend import export_in_tensorflow

        options = ["--dtype", dtype, "--warm-up" if warm_up else "--no-warm-up"]
        export_in_tensorflow(served, ["--format", FORMAT, "--output", str(path), *options])
        return path
    with written_beside(path) as new:
        _write(served, dtype, new)
        if warm_up:
            write_warm_up(served.clip_spec, path.parent.name, new)
    return path


def _write(served: ServedModel, dtype: str, path: Path) -> None:
    import tensorflow as tf

    from keras_tdn.export.network import ServedNetwork
    from keras_tdn.export.signatures import signatures

    network = ServedNetwork(served.model, dtype)
    # A plain module: with Keras' own objects in it, loading would ask for Keras.
    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
        description = describe_export(served, dtype)
        manifest, labels = write_manifest(description, Path(folder))
        module.manifest = tf.saved_model.Asset(str(manifest))
        module.labels = tf.saved_model.Asset(str(labels))
        text = manifest.read_text(encoding="utf-8")
        tf.saved_model.save(module, str(path), signatures(served, network, text))
