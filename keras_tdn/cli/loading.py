"""The model that the options of a command name."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import warnings
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.cli import arguments
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    import keras

    from keras_tdn.training import Recipe

logger = logging.getLogger("keras_tdn")

Names = tuple[str, ...] | None

# What is warned of where weights do not tell.
_ASSUMED_CLIPS = ".*does not say how its clips are cut"
_RANDOM = "random"


def labels_of(args: argparse.Namespace) -> Names:
    """The class names that `--labels` names; `None` leaves them to the model."""
    from keras_tdn.labels import load_labels

    return None if args.labels is None else load_labels(args.labels)


def load(args: argparse.Namespace) -> tuple[Any, Names]:
    """The model that the options name, and the class names if they name any."""
    labels = labels_of(args)
    return load_model(args, labels), labels


def load_model(args: argparse.Namespace, labels: Names, weights: str | None = None) -> keras.Model:
    """The model that the options name, with one of several weights if they are passed.

    `labels` are class names given by the user; as many as a file of weights has classes.
    """
    from keras_tdn.models.predicting import clip_spec_of

    weights = args.weights if weights is None else weights
    size, short_side = (getattr(args, name, None) for name in ("clip_size", "short_side"))
    if size is None and short_side is None:
        return _load_model(args, labels, weights)
    with warnings.catch_warnings():
        # Nothing has to be assumed.
        warnings.filterwarnings("ignore", message=_ASSUMED_CLIPS)
        model = _load_model(args, labels, weights)
    spec = clip_spec_of(model)
    if size is not None:
        height, width = arguments.parse_size("--size", size)
        in_proportion = ClipSpec.for_crop(1, 1, height, width).short_side
        spec = dataclasses.replace(spec, height=height, width=width, short_side=in_proportion)
    if short_side is not None:
        spec = dataclasses.replace(spec, short_side=short_side)
    model.clip_spec = spec
    return model


def _load_model(args: argparse.Namespace, labels: Names, weights: str) -> keras.Model:
    from keras_tdn.pretrained import load_preset
    from keras_tdn.pretrained.weights import load_model as load_whole_model
    from keras_tdn.pretrained.weights_source import WeightsKind, resolve_weights

    found = resolve_weights(weights)
    kind = None if found is None else found.kind
    if kind is WeightsKind.WEIGHTS_FILE:
        return _build_and_load(args, labels, weights)
    if kind is WeightsKind.DATASET and args.classes is None:
        # The catalog's names are made of the same three parts.
        segments = args.segments or arguments.DEFAULT_SEGMENTS
        return load_preset(f"{args.model or arguments.DEFAULT_MODEL}_{segments}_{weights}")
    for option in ("model", "segments", "classes"):
        if getattr(args, option) is not None:
            raise ValueError(
                f"--{option} is for a {WEIGHTS_SUFFIX} file; {weights!r} brings its model along. "
                "Leave it out."
            )
    return load_whole_model(weights)


def _build_and_load(args: argparse.Namespace, labels: Names, weights: str) -> keras.Model:
    from keras_tdn.pretrained.weights_file import load_described_weights

    model: Any = load_described_weights(weights)
    if model is not None:
        check_fit(args, model, weights, "Leave it out.")
        return model
    if args.classes is None and labels is None:
        raise ValueError(
            f"The file {weights!r} does not say how many classes its model has. Pass --classes or "
            "--labels."
        )
    return builder(args.model)(
        weights=weights,
        classes=len(labels or ()) if args.classes is None else args.classes,
        num_segments=arguments.DEFAULT_SEGMENTS if args.segments is None else args.segments,
    )


def check_fit(args: argparse.Namespace, model: Any, weights: str, advice: str) -> None:
    """Raises a `ValueError` if options say otherwise of a model than its weights."""
    from keras_tdn.pretrained.catalog import CONSTRUCTORS

    depths = {constructor: depths for depths, constructor in CONSTRUCTORS.items()}
    for name, attribute in (
        ("model", "stage_depths"),
        ("segments", "num_segments"),
        ("frames_per_segment", "frames_per_segment"),
        ("classes", "classes"),
    ):
        given, own = getattr(args, name, None), getattr(model, attribute, None)
        wanted = depths[arguments.MODELS[given]] if name == "model" and given else given
        if wanted not in (None, own):
            raise ValueError(
                f"--{name.replace('_', '-')} {given} does not fit the weights {weights!r}, whose "
                f"model has {attribute}={own}. {advice}"
            )


def builder(model: str | None) -> Any:
    """The function that builds what `--model` names."""
    import keras_tdn.models

    return getattr(keras_tdn.models, arguments.MODELS[model or arguments.DEFAULT_MODEL])


def build_model(args: argparse.Namespace, recipe: Recipe, classes: int, labels: Names) -> Any:
    """The `TDNResNet` that the options of `keras-tdn train` describe, with its weights.

    With a preset as weights, what the options leave open is as in the preset.
    """
    from keras_tdn.models import TDNResNet
    from keras_tdn.pretrained.weights import ARCHITECTURE, read_config
    from keras_tdn.pretrained.weights_source import IMAGENET, SWITCHES

    compact = args.stage_depths is not None or args.width is not None
    if compact and args.model is not None:
        raise ValueError(
            "--model names a published architecture, and --stage-depths and --width make another. "
            "Leave one of them out."
        )
    preset: dict[str, Any] = {}
    if not compact and args.model is None and args.weights != _RANDOM:
        config = read_config(args.weights)
        preset = {} if config is None else dict(config.arguments)
    given: dict[str, Any] = {name: preset[name] for name in ARCHITECTURE if name in preset}
    if compact:
        given |= {"stage_depths": args.stage_depths or (1, 1, 1, 1), "width": args.width or 64}
    given |= {name: False for name in SWITCHES if getattr(args, f"no_{name}")}
    segments = args.num_segments or preset.get("num_segments") or recipe.num_segments
    frames = given.get("frames_per_segment", arguments.FRAMES_PER_SEGMENT)
    weights = args.weights or (_RANDOM if compact else IMAGENET)
    build: Any = TDNResNet if given.get("stage_depths") else builder(args.model)
    if build is TDNResNet:
        given["name"] = "tdn_resnet_compact" if compact else preset["name"]
    with warnings.catch_warnings():
        # They will be cut as the recipe says.
        warnings.filterwarnings("ignore", message=_ASSUMED_CLIPS)
        model = build(
            **given,
            weights=None if weights == _RANDOM else weights,
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


def _renew_classifier(model: Any) -> None:
    """Draws the classifier anew: that of a preset is for as many classes, but for others."""
    layer = model.get_layer("classifier")
    layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape, layer.kernel.dtype))
    layer.bias.assign(layer.bias_initializer(layer.bias.shape, layer.bias.dtype))
    logger.warning("The classifier is new: the weights' classes have other names.")
