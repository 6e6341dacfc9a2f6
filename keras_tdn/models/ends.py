"""How pixels enter a TDN model and how scores or features leave it."""

from __future__ import annotations

from typing import Any

import keras

from keras_tdn.layers import SegmentConsensus, UnfoldSegments
from keras_tdn.layers.common import DATA_FORMAT, at_least_float32
from keras_tdn.specs import Normalization

CLASSIFIER_STD = 0.001
NORMALIZATION = "normalization"


def apply_normalization(clips: Any, normalization: Normalization, dtype: str) -> Any:
    """`(pixel / 255 - mean) / std` of pixels in [0, 255]."""
    scale, offset = _scale_and_offset(normalization)
    return keras.layers.Rescaling(scale, offset, name=NORMALIZATION, dtype=dtype)(clips)


def set_normalization(layer: Any, normalization: Normalization) -> None:
    """Gives a layer of `apply_normalization` other statistics."""
    layer.scale, layer.offset = _scale_and_offset(normalization)


def _scale_and_offset(normalization: Normalization) -> tuple[list[float], list[float]]:
    means_and_stds = zip(normalization.mean, normalization.std, strict=True)
    return (
        [1 / (255 * std) for std in normalization.std],
        [-mean / std for mean, std in means_and_stds],
    )


def apply_classifier(
    x: Any, num_segments: int, rate: float, classes: int, activation: str | None, policy: Any
) -> Any:
    """Pooling, dropout, scores per segment, their mean, and the activation."""
    precise = at_least_float32(policy.compute_dtype)
    x = keras.layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool", dtype=policy)(x)
    x = keras.layers.Dropout(rate, name="dropout", dtype=policy)(x)
    x = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=CLASSIFIER_STD),
        name="classifier",
        dtype=policy,
    )(x)
    x = SegmentConsensus(num_segments, name="consensus", dtype=precise)(x)
    return keras.layers.Activation(activation, name="predictions", dtype=precise)(x)


def apply_feature_end(x: Any, num_segments: int, pooling: str | None, policy: Any) -> Any:
    """Feature maps per segment, or one vector per video."""
    if pooling is None:
        return UnfoldSegments(num_segments, name="segment_features", dtype=policy)(x)
    pool = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[pooling]
    x = pool(data_format=DATA_FORMAT, name="pool", dtype=policy)(x)
    return SegmentConsensus(num_segments, name="consensus", dtype=policy)(x)
