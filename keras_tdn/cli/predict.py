"""`keras-tdn predict`: what happens in one video."""

from __future__ import annotations

import argparse
import json
import os
import sys
import zipfile
from typing import Any

import keras

import keras_tdn.models
from keras_tdn.labels import load_labels
from keras_tdn.prediction import Prediction, predict_video
from keras_tdn.pretrained import load_preset
from keras_tdn.pretrained.weights import DATASETS

# By the names of the functions that build them, as the command line spells them.
MODELS = {"tdn_resnet50": "TDNResNet50", "tdn_resnet101": "TDNResNet101"}
DEFAULT_MODEL = "tdn_resnet50"
DEFAULT_SEGMENTS = 8
WEIGHTS_SUFFIX = ".weights.h5"
MODEL_SUFFIX = ".keras"


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "predict",
        help="name what happens in a video",
        description="Names what happens in a video: one clip, one centre crop.",
    )
    parser.add_argument("video", metavar="VIDEO", help="path of a video file")
    parser.add_argument(
        "--weights",
        required=True,
        metavar="PRESET_OR_FILE",
        help=f"preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
        f"{MODEL_SUFFIX} file or {WEIGHTS_SUFFIX} file",
    )
    parser.add_argument(
        "--labels",
        metavar="NAME_OR_FILE",
        help="class names: a data set's name or a text file with one per line "
        "(default: those that come with the weights)",
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="classes to name (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    bare = parser.add_argument_group(
        f"for a {WEIGHTS_SUFFIX} file or a data set's name",
        "which do not say what model they are for",
    )
    bare.add_argument("--model", choices=sorted(MODELS), help=f"(default: {DEFAULT_MODEL})")
    bare.add_argument("--segments", type=int, metavar="N", help=f"(default: {DEFAULT_SEGMENTS})")
    bare.add_argument("--classes", type=int, metavar="N", help="(default: as many as labels)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the predictions for `args.video`."""
    labels = None if args.labels is None else load_labels(args.labels)
    model = _load_model(args, labels)
    predictions = predict_video(model, args.video, top=args.top, labels=labels)
    sys.stdout.write(_as_json(args, predictions) if args.json else _as_table(predictions))
    return 0


def _load_model(args: argparse.Namespace, labels: tuple[str, ...] | None) -> keras.Model:
    weights = args.weights
    if weights.endswith(WEIGHTS_SUFFIX):
        return _build_and_load(args, labels)
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
    _check_file(path)
    try:
        return keras.saving.load_model(path, compile=False)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path!r} is not a Keras model file ({error}).") from error


def _build_and_load(args: argparse.Namespace, labels: tuple[str, ...] | None) -> keras.Model:
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
    return build(weights=args.weights, classes=classes, num_segments=segments)


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise ValueError(f"There is no file {path!r}. Check the path given as --weights.")


def _as_json(args: argparse.Namespace, predictions: list[Prediction]) -> str:
    result = {
        "video": args.video,
        "weights": args.weights,
        "predictions": [
            {"index": item.index, "label": item.label, "score": item.score} for item in predictions
        ],
    }
    return json.dumps(result) + "\n"


def _as_table(predictions: list[Prediction]) -> str:
    width = max(len(item.label) for item in predictions)
    return "".join(f"{item.label:<{width}}  {item.score:.4f}\n" for item in predictions)
