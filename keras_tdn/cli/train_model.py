"""The model that `keras-tdn train` starts with."""

from __future__ import annotations

import argparse
import logging
import warnings
from typing import Any

import keras_tdn.models
from keras_tdn.cli.arguments import DEFAULT_MODEL, MODELS
from keras_tdn.cli.loading import ASSUMED_CLIPS
from keras_tdn.models import TDNResNet
from keras_tdn.pretrained.weights import ARCHITECTURE, read_config
from keras_tdn.pretrained.weights_source import IMAGENET
from keras_tdn.training import Recipe

logger = logging.getLogger("keras_tdn")

CLASSIFIER = "classifier"
FRAMES_PER_SEGMENT = 5
COMPACT = "tdn_resnet_compact"
RANDOM = "random"
# Option, the model's argument it switches off.
SWITCHES = ("short_term", "long_term", "temporal_shift")


def build_model(
    args: argparse.Namespace, recipe: Recipe, classes: int, labels: tuple[str, ...] | None
) -> TDNResNet:
    """The model that the options describe, with its weights.

    With a preset as weights, what the options leave open is as in the preset.

    Raises:
        ValueError: if options or weights do not fit each other.
    """
    compact = args.stage_depths is not None or args.width is not None
    if compact and args.model is not None:
        raise ValueError(
            "--model names a published architecture, and --stage-depths and --width make another. "
            "Leave one of them out."
        )
    preset = {} if compact or args.model is not None else _preset_arguments(args.weights)
    arguments: dict[str, Any] = {
        name: preset[name] for name in ARCHITECTURE if preset and name in preset
    }
    if compact:
        arguments["stage_depths"] = args.stage_depths or (1, 1, 1, 1)
        arguments["width"] = args.width or 64
    for name in SWITCHES:
        if getattr(args, f"no_{name}"):
            arguments[name] = False
    segments = args.segments or preset.get("num_segments") or recipe.num_segments
    frames = arguments.get("frames_per_segment", FRAMES_PER_SEGMENT)
    weights = args.weights or (RANDOM if compact else IMAGENET)
    build = TDNResNet
    if not arguments.get("stage_depths"):
        build = getattr(keras_tdn.models, MODELS[args.model or DEFAULT_MODEL])
    else:
        arguments["name"] = COMPACT if compact else preset["name"]
    with warnings.catch_warnings():
        # They will be cut as the recipe says.
        warnings.filterwarnings("ignore", message=ASSUMED_CLIPS)
        model = build(
            **arguments,
            weights=None if weights == RANDOM else weights,
            input_shape=(segments * frames, None, None, 3),
            classes=classes,
            num_segments=segments,
            dropout_rate=recipe.dropout_rate,
            # Said behind the weights, which would warn of other names and keep their classifier.
            labels=None,
            dtype=args.dtype,
        )
    if labels is not None:
        if model.labels is not None and labels != model.labels:
            _renew_classifier(model)
        model.labels = labels
    model.clip_spec = recipe.clip_spec_for(model)
    return model


def _renew_classifier(model: TDNResNet) -> None:
    """Draws the classifier anew: that of a preset is for as many classes, but for others."""
    layer = model.get_layer(CLASSIFIER)
    for variable, initializer in (
        (layer.kernel, layer.kernel_initializer),
        (layer.bias, layer.bias_initializer),
    ):
        variable.assign(initializer(variable.shape, variable.dtype))
    logger.warning("The classifier is new: the weights' classes have other names.")


def _preset_arguments(weights: str | None) -> dict[str, Any]:
    """Returns the arguments of the model that the weights come with; none if they do not say so."""
    config = None if weights == RANDOM else read_config(weights)
    return {} if config is None else dict(config.arguments)
