"""The architectures the paper publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_tdn.models.tdn_resnet import TDNResNet

RESNET50_DEPTHS = (3, 4, 6, 3)
RESNET101_DEPTHS = (3, 4, 23, 3)


def TDNResNet50(
    include_top: bool = True,
    weights: str | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = "softmax",
    num_segments: int = 8,
    frames_per_segment: int = 5,
    dropout_rate: float = 0.5,
    include_preprocessing: bool = True,
    name: str = "tdn_resnet50",
    **kwargs: Any,
) -> TDNResNet:
    """TDN on ResNet50: 36 GMACs for a clip of 8 segments at 224 pixels.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021; arXiv:2012.10071.

    Args:
        include_top: Whether the classifier is part of the model.
        weights: See `TDNResNet`.
        input_shape: Shape of one clip; height and width may be `None`, the default.
        pooling: With `include_top=False`: `None`, `"avg"` or `"max"`.
        classes: Number of classes.
        classifier_activation: `"softmax"`, or `None` for logits.
        num_segments: Equal spans that a video is divided into.
        frames_per_segment: Neighbouring frames in each segment.
        dropout_rate: Fraction of the pooled features dropped in training.
        include_preprocessing: Whether the model takes pixels in [0, 255].
        name: Name of the model.
        **kwargs: Any further argument of `TDNResNet`, such as `labels` or `dtype`.

    Returns:
        A `TDNResNet`; its docstring gives shapes, units and errors.

    Example:

    >>> model = keras_tdn.TDNResNet50(classes=174, num_segments=8)
    >>> model.output_shape
    (None, 174)
    """
    return _build(RESNET50_DEPTHS, locals())


def TDNResNet101(
    include_top: bool = True,
    weights: str | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = "softmax",
    num_segments: int = 8,
    frames_per_segment: int = 5,
    dropout_rate: float = 0.5,
    include_preprocessing: bool = True,
    name: str = "tdn_resnet101",
    **kwargs: Any,
) -> TDNResNet:
    """TDN on ResNet101: 66 GMACs for a clip of 8 segments at 224 pixels.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021; arXiv:2012.10071.

    Args:
        include_top: Whether the classifier is part of the model.
        weights: See `TDNResNet`.
        input_shape: Shape of one clip; height and width may be `None`, the default.
        pooling: With `include_top=False`: `None`, `"avg"` or `"max"`.
        classes: Number of classes.
        classifier_activation: `"softmax"`, or `None` for logits.
        num_segments: Equal spans that a video is divided into.
        frames_per_segment: Neighbouring frames in each segment.
        dropout_rate: Fraction of the pooled features dropped in training.
        include_preprocessing: Whether the model takes pixels in [0, 255].
        name: Name of the model.
        **kwargs: Any further argument of `TDNResNet`, such as `labels` or `dtype`.

    Returns:
        A `TDNResNet`; its docstring gives shapes, units and errors.

    Example:

    >>> model = keras_tdn.TDNResNet101(classes=174, num_segments=8)
    >>> model.output_shape
    (None, 174)
    """
    return _build(RESNET101_DEPTHS, locals())


def _build(stage_depths: tuple[int, ...], arguments: dict[str, Any]) -> TDNResNet:
    """Builds a model from all arguments of a function above, by name."""
    return TDNResNet(stage_depths, **arguments.pop("kwargs"), **arguments)
