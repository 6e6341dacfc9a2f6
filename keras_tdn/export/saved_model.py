"""Exporting a SavedModel for TensorFlow Serving."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_tdn.choices import check_folded_dtype
from keras_tdn.export import formats
from keras_tdn.export.served_model import ServedModel, export_in_tensorflow, write_manifest
from keras_tdn.files.atomic import written_beside
from keras_tdn.models import TDNResNet

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_tdn.inference.inference_network import FoldedNetwork

# TensorFlow Serving reads a version as an int64 and serves the greatest.
VERSION = re.compile(r"[1-9][0-9]{0,17}")


def export_saved_model(
    model: TDNResNet,
    path: str | os.PathLike[str],
    *,
    top: int = 5,
    labels: Sequence[str] | None = None,
    dtype: str = "float32",
    warm_up: bool | None = None,
) -> Path:
    """Writes a SavedModel that TensorFlow Serving loads, with preprocessing and labels inside.

    Use it to serve a trained model, or to run it where neither Keras nor this package is installed:
    plain `tf.saved_model.load` is enough. Signatures, each for batches of any size:

    - `serving_default` takes `clips`, uint8 pixels `(batch, num_frames, height, width, 3)` with the
      frames of `SegmentSampler(mode="center")`, and gives `scores` `(batch, classes)`, `labels`
      `(batch, top)`, strings, and `top_scores` `(batch, top)`, highest first. Scores are
      probabilities, also of a model that gives logits.
    - `encoded_frames` takes `encoded_frames`, JPEG or PNG files of any size as strings `(batch,
      num_frames)`, and gives the same. Frames are resized and cropped as in validation; tags that
      turn a picture are not read.
    - `features` takes `clips`, and gives `features`, one vector for each.
    - `describe` takes `request`, any strings `(batch,)`, and gives `manifest`, for each the content
      of `keras_tdn.json`.

    In the folder `assets`, `keras_tdn.json` has the clip specification, the labels, the hash of the
    weights and the preset's card, and `labels.txt` has the labels, one a line. `assets.extra` has
    requests that a server warms up with: one, two and four clips for each signature, the sizes that
    `examples/serving` lets the server make batches of.

    With Keras on JAX or PyTorch the model is handed as a preset to a process of its own, which runs
    on TensorFlow: a model that no preset can hold is refused.

    Args:
        model: A `TDNResNet` with its classifier.
        path: Folder to write, named by a version number: `"exported/tdn/1"`. A server that watches
            `exported/tdn` never sees half of it.
        top: How many classes an answer names; with fewer classes than that, all.
        labels: Class names in the order of the scores. `None` takes the model's own.
        dtype: `"float32"`, or `"bfloat16"`, which takes about half of the time on processors that
            have instructions for it. Scores are float32 in any case.
        warm_up: Whether to write warm-up requests. `None` does with `keras-tdn[serving]` installed.

    Returns:
        The path.

    Raises:
        ValueError: if the model has no classifier or no labels, or an argument does not fit.
        ImportError: with `warm_up=True`, if `keras-tdn[serving]` is not installed.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> keras_tdn.export.export_saved_model(model, "exported/tdn/1")
    >>> served = tf.saved_model.load("exported/tdn/1").signatures["serving_default"]
    >>> served(clips=clips)["labels"]
    """
    served = ServedModel.of(model, labels, top)
    check_folded_dtype(dtype)
    path = check_version_folder(path)
    if warm_up is None:
        warm_up = formats.has_serving_api()
    elif warm_up:
        formats.import_serving_api("Writing warm-up requests")
    if keras.backend.backend() != "tensorflow":
        option = "--warm-up" if warm_up else "--no-warm-up"
        return export_in_tensorflow(served, formats.SAVED_MODEL, path, dtype, option)
    import tensorflow as tf

    from keras_tdn.inference.inference_network import FoldedNetwork

    with written_beside(path) as new:
        # A plain module: with Keras' own objects in it, loading would ask for Keras.
        network, module = FoldedNetwork(model, dtype), tf.Module()
        with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
            manifest, names = write_manifest(served, dtype, Path(folder))
            module.manifest = tf.saved_model.Asset(str(manifest))
            module.labels = tf.saved_model.Asset(str(names))
            text = manifest.read_text(encoding="utf-8")
            tf.saved_model.save(module, str(new), _signatures(served, network, text))
        if warm_up:
            formats.write_warm_up(served.model.clip_spec, path.parent.name, new)
    return path


def check_version_folder(path: str | os.PathLike[str]) -> Path:
    """Checks the path of a version of a served model, such as `exported/tdn/1`."""
    path = Path(path)
    if VERSION.fullmatch(path.name) is None:
        raise ValueError(
            "TensorFlow Serving finds a model's versions by their number, so that the last part of "
            f"the path is a positive integer: {str(path / '1')!r}. Received: {str(path)!r}"
        )
    if os.path.lexists(path):
        versions = filter(VERSION.fullmatch, os.listdir(path.parent))
        following = path.parent / str(max(map(int, versions), default=0) + 1)
        raise ValueError(
            f"{str(path)!r} exists, and a version that a server may have loaded is not changed. "
            f"Write the next one, {str(following)!r}, or delete this one."
        )
    existing = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "may not be written to" if existing.is_dir() else "is not a folder"
        raise ValueError(
            f"{str(path)!r} cannot be written, because {str(existing)!r} {reason}. Choose another "
            "place, or change its permissions."
        )
    return path


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Silences the line that says where assets went: a folder that is renamed at once."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _signatures(served: ServedModel, network: FoldedNetwork, manifest: str) -> dict[str, Any]:
    """Returns the functions to save by signature, as `export_saved_model` describes them."""
    import tensorflow as tf

    from keras_tdn.data.jpeg_frames import decode_jpeg
    from keras_tdn.data.transforms import ResizeAndCenterCrop

    spec = served.model.clip_spec
    # What validation sees of frames.
    view = ResizeAndCenterCrop.from_spec(spec)
    names = tf.constant(served.labels)
    pixels = tf.TensorSpec((None, spec.num_frames, spec.height, spec.width, 3), tf.uint8, "clips")
    requests = tf.TensorSpec((None,), tf.string, "request")
    files = tf.TensorSpec((None, spec.num_frames), tf.string, formats.ENCODED_FRAMES)

    def answer(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = network.probabilities(clips)
        best = tf.math.top_k(scores, served.top)
        labels = tf.gather(names, best.indices)
        return {"scores": scores, "labels": labels, "top_scores": best.values}

    def decode(file: tf.Tensor) -> tf.Tensor:
        # Frame by frame, because frames may differ in size.
        return view(decode_jpeg(file)[tf.newaxis])[0]

    def answer_files(files: tf.Tensor) -> dict[str, tf.Tensor]:
        frame = tf.TensorSpec(pixels.shape[2:], tf.uint8)
        frames = tf.map_fn(decode, tf.reshape(files, (-1,)), fn_output_signature=frame)
        return answer(tf.reshape(frames, (-1, *pixels.shape[1:])))

    def features(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return {formats.FEATURES: network.features(clips)}

    # A server has no other way to tell a client what is in the assets.
    def describe(request: tf.Tensor) -> dict[str, tf.Tensor]:
        return {formats.MANIFEST: tf.fill(tf.shape(request), manifest)}

    def traced(function: Callable[..., Any], argument: tf.TensorSpec) -> Callable[..., Any]:
        def checked(x: tf.Tensor) -> dict[str, tf.Tensor]:
            # A server does not compare shapes with the signature, and a clip of 8 segments has as
            # many pixels as two of 4: it would answer.
            return function(tf.ensure_shape(x, argument.shape))

        return tf.function(checked, input_signature=[argument], autograph=False)

    return {
        formats.SERVING_DEFAULT: traced(answer, pixels),
        formats.ENCODED_FRAMES: traced(answer_files, files),
        formats.FEATURES: traced(features, pixels),
        formats.DESCRIBE: traced(describe, requests),
    }
