"""The model that `--weights` names, for every command that takes a model."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# By the names of the functions that build them, as the command line spells them.
MODELS = {"tdn_resnet50": "TDNResNet50", "tdn_resnet101": "TDNResNet101"}
DEFAULT_MODEL = "tdn_resnet50"
DEFAULT_SEGMENTS = 8
WEIGHTS_SUFFIX = ".weights.h5"
MODEL_SUFFIX = ".keras"
WEIGHTS_HELP = (
    "preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
    f"{MODEL_SUFFIX} file or {WEIGHTS_SUFFIX} file"
)


def add_bare_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what a file of weights alone, or a data set's name, leaves open."""
    bare = parser.add_argument_group(
        f"for a {WEIGHTS_SUFFIX} file or a data set's name",
        "neither of which says what model it is for",
    )
    bare.add_argument(
        "--model", choices=sorted(MODELS), help=f"architecture (default: {DEFAULT_MODEL})"
    )
    bare.add_argument(
        "--segments",
        type=int,
        metavar="N",
        help=f"segments per video (default: {DEFAULT_SEGMENTS})",
    )
    bare.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes (default: as many as there are labels)",
    )


def load_model(
    args: argparse.Namespace, labels: tuple[str, ...] | None, weights: str | None = None
) -> keras.Model:
    """The model that the options name.

    Args:
        args: Has `model`, `segments` and `classes`, and `weights` unless they are passed.
        labels: Class names given by the user; as many as a file of weights has classes.
        weights: One of several that the user named. `None` takes `args.weights`.

    Raises:
        ValueError: if there is no such model, or options are left over or missing.
    """
    from keras_tdn.pretrained import load_preset
    from keras_tdn.pretrained.weights import DATASETS

    weights = args.weights if weights is None else weights
    if weights.endswith(WEIGHTS_SUFFIX):
        return _build_and_load(args, labels, weights)
    if weights in DATASETS and args.classes is None:
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
    if weights.endswith(MODEL_SUFFIX):
        return load_model_file(weights)
    return load_preset(weights)


def load_model_file(path: str) -> keras.Model:
    """The model in a `.keras` file."""
    if not os.path.isfile(path):
        raise ValueError(f"There is no file {path!r}. Check the path given as --weights.")
    import zipfile

    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path!r} is not a Keras model file ({error}).") from error


def _build_and_load(
    args: argparse.Namespace, labels: tuple[str, ...] | None, weights: str
) -> keras.Model:
    import keras_tdn.models

    classes = args.classes
    if classes is None:
        if labels is None:
            raise ValueError(
                f"A {WEIGHTS_SUFFIX} file does not say how many classes its model has. "
                "Pass --classes or --labels."
            )
        classes = len(labels)
    build = getattr(keras_tdn.models, MODELS[args.model or DEFAULT_MODEL])
    segments = DEFAULT_SEGMENTS if args.segments is None else args.segments
    return build(weights=weights, classes=classes, num_segments=segments)
