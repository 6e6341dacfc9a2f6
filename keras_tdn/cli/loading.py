"""The model that `--weights` names, for every command that takes a model."""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.cli.arguments import DEFAULT_MODEL, DEFAULT_SEGMENTS, MODELS, parse_size

if TYPE_CHECKING:
    import keras

    from keras_tdn.specs import ClipSpec

# What `load_model` looks at besides the weights.
CLIP_ARGUMENTS = ("clip_size", "short_side")
MODEL_ARGUMENTS = ("model", "segments", "classes", *CLIP_ARGUMENTS)
# What is warned of where weights do not tell.
ASSUMED_CLIPS = ".*does not say how its clips are cut"


def load_model(
    args: argparse.Namespace, labels: tuple[str, ...] | None, weights: str | None = None
) -> keras.Model:
    """The model that the options name.

    Args:
        args: Has `model`, `segments` and `classes`, and `weights` unless they are passed; may have
            `clip_size` and `short_side`.
        labels: Class names given by the user; as many as a file of weights has classes.
        weights: One of several that the user named. `None` takes `args.weights`.

    Raises:
        ValueError: if there is no such model, or options are left over or missing.
    """
    from keras_tdn.models.predicting import clip_spec_of

    weights = args.weights if weights is None else weights
    size, short_side = (getattr(args, name, None) for name in CLIP_ARGUMENTS)
    with warnings.catch_warnings():
        if size is not None or short_side is not None:
            # Nothing has to be assumed.
            warnings.filterwarnings("ignore", message=ASSUMED_CLIPS)
        model = _load_model(args, labels, weights)
    if size is not None or short_side is not None:
        model.clip_spec = _clip_spec(clip_spec_of(model), size, short_side)
    return model


def _load_model(
    args: argparse.Namespace, labels: tuple[str, ...] | None, weights: str
) -> keras.Model:
    from keras_tdn.pretrained import load_preset
    from keras_tdn.pretrained.weights import load_model as load_whole_model
    from keras_tdn.pretrained.weights_source import WeightsKind, resolve_weights

    found = resolve_weights(weights)
    kind = None if found is None else found.kind
    if kind is WeightsKind.WEIGHTS_FILE:
        return _build_and_load(args, labels, weights)
    if kind is WeightsKind.DATASET and args.classes is None:
        # The catalog's names are made of the same three parts.
        return load_preset(
            f"{args.model or DEFAULT_MODEL}_{args.segments or DEFAULT_SEGMENTS}_{weights}"
        )
    for option in ("model", "segments", "classes"):
        if getattr(args, option) is not None:
            raise ValueError(
                f"--{option} is for a {WEIGHTS_SUFFIX} file; {weights!r} brings its model along. "
                "Leave it out."
            )
    return load_whole_model(weights)


def _build_and_load(
    args: argparse.Namespace, labels: tuple[str, ...] | None, weights: str
) -> keras.Model:
    import keras_tdn.models
    from keras_tdn.pretrained.weights_file import load_described_weights

    described = load_described_weights(weights)
    if described is not None:
        _check_options(args, described, weights)
        return described
    classes = args.classes
    if classes is None:
        if labels is None:
            raise ValueError(
                f"The file {weights!r} does not say how many classes its model has. Pass --classes "
                "or --labels."
            )
        classes = len(labels)
    build = getattr(keras_tdn.models, MODELS[args.model or DEFAULT_MODEL])
    segments = DEFAULT_SEGMENTS if args.segments is None else args.segments
    return build(weights=weights, classes=classes, num_segments=segments)


def _check_options(args: argparse.Namespace, model: Any, weights: str) -> None:
    """Raises if options say otherwise than the file itself."""
    for option, given, own in (
        ("model", args.model and depths_of(args.model), model.stage_depths),
        ("segments", args.segments, model.num_segments),
        ("classes", args.classes, model.classes),
    ):
        if given not in (None, own):
            raise ValueError(
                f"--{option} {getattr(args, option)} does not fit the weights {weights!r}, which "
                f"say that theirs is {own}. Leave it out."
            )


def _clip_spec(spec: ClipSpec, size: str | None, short_side: int | None) -> ClipSpec:
    """How clips are cut if `--size` and `--short-side` say otherwise."""
    from keras_tdn.specs import ClipSpec

    if size is not None:
        height, width = parse_size("--size", size)
        in_proportion = ClipSpec.for_crop(1, 1, height, width).short_side
        spec = dataclasses.replace(spec, height=height, width=width, short_side=in_proportion)
    return spec if short_side is None else dataclasses.replace(spec, short_side=short_side)


def depths_of(model: str) -> tuple[int, ...]:
    """Blocks in each stage of one of `MODELS`."""
    from keras_tdn.models.tdn_resnet import RESNET50_DEPTHS, RESNET101_DEPTHS

    return {"tdn_resnet50": RESNET50_DEPTHS, "tdn_resnet101": RESNET101_DEPTHS}[model]
