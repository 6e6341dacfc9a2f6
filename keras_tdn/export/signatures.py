"""The signatures of a SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_tdn.data.jpeg_frames import decode_jpeg
from keras_tdn.data.transforms import ResizeAndCenterCrop
from keras_tdn.export.formats import DESCRIBE, ENCODED_FRAMES, FEATURES, SERVING_DEFAULT
from keras_tdn.export.served_model import ServedModel
from keras_tdn.inference.inference_network import FoldedNetwork


def signatures(
    served: ServedModel, network: FoldedNetwork, manifest: str
) -> dict[str, Callable[..., Any]]:
    """Returns the functions to save by signature. Batches may have any size.

    `serving_default` takes `clips`, pixels that are cut as the clip specification says, and gives
    `scores` of all classes, and `labels` and `top_scores` of the best, highest first.
    `encoded_frames` takes the frames of clips as JPEG or PNG files of any size, and gives the same.
    `features` takes `clips`, and gives `features`, a vector for each. `describe` takes `request`,
    any string for each row, and gives `manifest`: a server has no other way to tell a client what
    is in the assets.

    Args:
        served: Labels, clip specification and number of classes to name.
        network: What computes.
        manifest: What `describe` answers.
    """
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
        return {"manifest": tf.fill(tf.shape(_checked(request, requests)), manifest)}

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
    return tf.ensure_shape(x, spec.shape)


def _decode_clips(files: tf.Tensor, served: ServedModel) -> tf.Tensor:
    """Returns the pixels that validation would see of these frames."""
    spec = served.clip_spec
    view = ResizeAndCenterCrop.from_spec(spec)

    def decode(file: tf.Tensor) -> tf.Tensor:
        # Frame by frame, because frames may differ in size.
        return view(decode_jpeg(file)[tf.newaxis])[0]

    frame = tf.TensorSpec((spec.height, spec.width, 3), tf.uint8)
    frames = tf.map_fn(decode, tf.reshape(files, (-1,)), fn_output_signature=frame)
    return tf.reshape(frames, (-1, spec.num_frames, *frame.shape))
