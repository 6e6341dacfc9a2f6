"""What tests of evaluation share: few small videos, and a model that takes no time."""

import dataclasses

import keras
import numpy as np

from keras_tdn.evaluation.scores import Scores
from keras_tdn.specs import ClipSpec, ViewSpec

SPEC = ClipSpec(num_segments=2, frames_per_segment=3, height=24, width=32, short_side=32)
NAMES = ("fall", "geton", "roll")
# Frames and height x width; the fourth has one frame, the fifth is upright.
VIDEOS = (
    (40, (48, 80)),
    (50, (48, 80)),
    (9, (60, 64)),
    (1, (48, 80)),
    (30, (80, 48)),
    (60, (48, 80)),
)


def toy(activation="softmax", classes=3, size=(None, None), spec=SPEC, scale=2.0):
    """Means of the pixels of each part of a clip, and a dense layer. It takes any size."""
    inputs = keras.Input((spec.num_frames, *size, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Reshape((-1, 3))(keras.layers.AveragePooling3D((1, 8, 8))(x))
    low = keras.layers.GlobalAveragePooling1D()(x)
    high = keras.layers.GlobalMaxPooling1D()(x)
    x = keras.layers.Dense(classes, name="classifier")(keras.layers.Concatenate()([low, high]))
    outputs = keras.layers.Activation(activation)(x)
    model = keras.Model(inputs, outputs, name="toy")
    rng = np.random.default_rng(0)
    kernel, bias = model.get_layer("classifier").weights
    values = rng.normal(size=kernel.shape) * scale
    kernel.assign(values - values.mean(axis=1, keepdims=True))
    # Classes are about equally likely, so that a few videos have all of them.
    bias.assign(rng.normal(size=bias.shape))
    model.clip_spec = spec
    return model


def make_scores(seed, videos=12, views=6, classes=5, kind="logits", **changes):
    rng = np.random.default_rng(seed)
    scores = Scores(
        view_scores=(3 * rng.normal(size=(videos, views, classes))).astype(np.float32),
        kind=kind,
        labels=np.arange(videos) % classes,
        paths=tuple(f"/videos/{number}.mp4" for number in range(videos)),
        indices=np.arange(videos),
        failures=(),
        class_names=None,
        views=ViewSpec(num_clips=views),
        facts={"model": f"model {seed}"},
    )
    return dataclasses.replace(scores, **changes)
