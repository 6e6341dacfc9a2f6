"""`keras-tdn predict`: what happens in one video."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments, loading

if TYPE_CHECKING:
    from keras_tdn.prediction import Prediction


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "predict",
        help="name what happens in a video",
        description="Names what happens in a video, from one clip and one centre crop of it.",
    )
    parser.add_argument("video", metavar="VIDEO", help="path of a video file")
    arguments.add_weights(parser)
    arguments.add_labels(parser)
    arguments.add_top(parser)
    arguments.add_json(parser, "the predictions as a JSON object")
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the predictions for `args.video`."""
    from keras_tdn.labels import load_labels
    from keras_tdn.prediction import predict_video

    labels = None if args.labels is None else load_labels(args.labels)
    model = loading.load_model(args, labels)
    predictions = predict_video(model, args.video, top=args.top, labels=labels)
    sys.stdout.write(_as_json(args, predictions) if args.json else _as_table(predictions))
    return 0


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
