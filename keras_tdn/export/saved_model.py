"""A model as TensorFlow Serving takes it."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras

from keras_tdn.export.destination import check_version_folder
from keras_tdn.export.dtypes import FLOAT32, check_dtype
from keras_tdn.export.manifest import write_manifest
from keras_tdn.export.served_model import ServedModel
from keras_tdn.models import TDNResNet
from keras_tdn.pretrained.output import written_beside

FORMAT = "saved_model"


def export_saved_model(
    model: TDNResNet,
    path: str | os.PathLike[str],
    *,
    top: int = 5,
    labels: Sequence[str] | None = None,
    dtype: str = FLOAT32,
) -> Path:
    """Writes a SavedModel that TensorFlow Serving loads, with preprocessing and labels inside.

    Use it to serve a trained model, or to run it where neither Keras nor this package is installed:
    plain `tf.saved_model.load` is enough. Signatures, each for batches of any size:

    - `serving_default` takes `clips`, uint8 pixels of the shape that the model's `clip_spec` tells,
      `(batch, num_frames, height, width, 3)`, and gives `scores` `(batch, classes)`, `labels`
      `(batch, top)`, strings, and `top_scores` `(batch, top)`, highest first. Scores are
      probabilities, also of a model that gives logits.
    - `encoded_frames` takes `encoded_frames`, JPEG files of any size as strings `(batch,
      num_frames)`, and gives the same. Frames are resized and cropped as in validation; tags that
      turn a picture are not read.
    - `features` takes `clips`, and gives `features`, one vector for each.

    A clip's frames are those of `SegmentSampler(mode="center")`. In the folder `assets`,
    `keras_tdn.json` tells the clip specification, the labels, the hash of the weights and the
    preset's card, and `labels.txt` has the labels, one a line.

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

    Returns:
        The path.

    Raises:
        ValueError: if the model has no classifier or no labels, if the path is none to write to, or
            if `dtype` is another.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> keras_tdn.export.export_saved_model(model, "exported/tdn/1")
    >>> served = tf.saved_model.load("exported/tdn/1").signatures["serving_default"]
    >>> served(clips=clips)["labels"]
    """
    served = ServedModel.of(model, labels, top)
    check_dtype(dtype)
    path = check_version_folder(path)
    if keras.backend.backend() != "tensorflow":
        from keras_tdn.export.other_backend import export_in_tensorflow

        export_in_tensorflow(served, ["--format", FORMAT, "--output", str(path), "--dtype", dtype])
        return path
    with written_beside(path) as new:
        _write(served, dtype, new)
    return path


def _write(served: ServedModel, dtype: str, path: Path) -> None:
    import tensorflow as tf

    from keras_tdn.export.network import ServedNetwork
    from keras_tdn.export.signatures import signatures

    network = ServedNetwork(served.model, dtype)
    # A plain module: with Keras' own objects in it, loading would ask for Keras.
    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder, _quiet_tensorflow():
        manifest, labels = write_manifest(served, dtype, Path(folder))
        module.manifest = tf.saved_model.Asset(str(manifest))
        module.labels = tf.saved_model.Asset(str(labels))
        tf.saved_model.save(module, str(path), signatures(served, network))


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Without the line that tells where assets went, which is a folder that is renamed at once."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
