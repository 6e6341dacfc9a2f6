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

from keras_tdn.export.formats import (
    DESCRIBE,
    ENCODED_FRAMES,
    FEATURES,
    MANIFEST,
    SAVED_MODEL,
    SERVING_DEFAULT,
    check_dtype,
    has_serving_api,
    import_serving_api,
    write_warm_up,
)
from keras_tdn.export.served_model import (
    ServedModel,
    describe_export,
    export_in_tensorflow,
    write_manifest,
)
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

    - `serving_default` takes `clips`, uint8 pixels of the shape that the model's `clip_spec` gives,
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
    `keras_tdn.json` has the clip specification, the labels, the hash of the weights and the
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
        ValueError: if the model has no classifier or no labels, if the path cannot be written to,
            or if `dtype` is another.
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
        options = ["--dtype", dtype, "--warm-up" if warm_up else "--no-warm-up"]
        export_in_tensorflow(served, ["--format", SAVED_MODEL, "--output", str(path), *options])
        return path
    with written_beside(path) as new:
        _write(served, dtype, new)
        if warm_up:
            write_warm_up(served.clip_spec, path.parent.name, new)
    return path


def _write(served: ServedModel, dtype: str, path: Path) -> None:
    import tensorflow as tf

    from keras_tdn.inference.inference_network import FoldedNetwork

    network = FoldedNetwork(served.model, dtype)
    # A plain module: with Keras' own objects in it, loading would ask for Keras.
    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
        description = describe_export(served, dtype)
        manifest, labels = write_manifest(description, Path(folder))
        module.manifest = tf.saved_model.Asset(str(manifest))
        module.labels = tf.saved_model.Asset(str(labels))
        text = manifest.read_text(encoding="utf-8")
        tf.saved_model.save(module, str(path), signatures(served, network, text))


def check_version_folder(path: str | os.PathLike[str]) -> Path:
    """Checks the path of a version of a served model, such as `exported/tdn/1`."""
    path = Path(path)
    if VERSION.fullmatch(path.name) is None:
        raise ValueError(
            "TensorFlow Serving finds a model's versions by their number, so that the last part of "
            f"the path is a positive integer: {str(path / '1')!r}. Received: {str(path)!r}"
        )
    if os.path.lexists(path):
        raise ValueError(
            f"{str(path)!r} exists, and a version that a server may have loaded is not changed. "
            f"Write the next one, {str(path.parent / _next_version(path))!r}, or delete this one."
        )
    _check_writable(path)
    return path


def _next_version(path: Path) -> str:
    versions = [int(entry.name) for entry in path.parent.iterdir() if VERSION.fullmatch(entry.name)]
    return str(max(versions, default=0) + 1)


def _check_writable(path: Path) -> None:
    existing = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not existing.is_dir():
        raise ValueError(
            f"{str(path)!r} cannot be written, because {str(existing)!r} is not a folder. Choose "
            "another place."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f"{str(path)!r} cannot be written, because {str(existing)!r} may not be written to. "
            "Choose another place, or change its permissions."
        )


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


def signatures(
    served: ServedModel, network: FoldedNetwork, manifest: str
) -> dict[str, Callable[..., Any]]:
    """Returns the functions to save by signature, as `export_saved_model` describes them.

    `describe` answers with the manifest, because a server has no other way to tell a client what is
    in the assets.
    """
    import tensorflow as tf

    spec = served.clip_spec
    names = tf.constant(served.labels)
    pixels = tf.TensorSpec((None, spec.num_frames, spec.height, spec.width, 3), tf.uint8, "clips")
    requests = tf.TensorSpec((None,), tf.string, "request")
    files = tf.TensorSpec((None, spec.num_frames), tf.string, ENCODED_FRAMES)

    def answer(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = network.probabilities(clips)
        best = tf.math.top_k(scores, served.top)
        return {
            "scores": scores,
            "labels": tf.gather(names, best.indices),
            "top_scores": best.values,
        }

    def serving_default(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_checked(clips, pixels))

    def encoded_frames(encoded_frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_decode_clips(_checked(encoded_frames, files), served))

    def features(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": network.features(_checked(clips, pixels))}

    def describe(request: tf.Tensor) -> dict[str, tf.Tensor]:
        return {MANIFEST: tf.fill(tf.shape(_checked(request, requests)), manifest)}

    def traced(function: Callable[..., Any], argument: tf.TensorSpec) -> Callable[..., Any]:
        return tf.function(function, input_signature=[argument], autograph=False)

    return {
        SERVING_DEFAULT: traced(serving_default, pixels),
        ENCODED_FRAMES: traced(encoded_frames, files),
        FEATURES: traced(features, pixels),
        DESCRIBE: traced(describe, requests),
    }


def _checked(x: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    """Raises for other shapes.

    A server does not compare them with the signature, and a clip of 8 segments has as many pixels
    as two of 4: it would answer.
    """
    import tensorflow as tf

    return tf.ensure_shape(x, spec.shape)


def _decode_clips(files: tf.Tensor, served: ServedModel) -> tf.Tensor:
    """Returns the pixels that validation would see of these frames."""
    import tensorflow as tf

    from keras_tdn.data.jpeg_frames import decode_jpeg
    from keras_tdn.data.transforms import ResizeAndCenterCrop

    spec = served.clip_spec
    view = ResizeAndCenterCrop.from_spec(spec)

    def decode(file: tf.Tensor) -> tf.Tensor:
        # Frame by frame, because frames may differ in size.
        return view(decode_jpeg(file)[tf.newaxis])[0]

    frame = tf.TensorSpec((spec.height, spec.width, 3), tf.uint8)
    frames = tf.map_fn(decode, tf.reshape(files, (-1,)), fn_output_signature=frame)
    return tf.reshape(frames, (-1, spec.num_frames, *frame.shape))
