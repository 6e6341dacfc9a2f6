"""`keras-tdn explain`: what a model sees in a video."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from keras_tdn.cli import arguments, loading

DEFAULT_FORMATS = "strip,gif,page"


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "explain",
        help="show what a model sees in a video",
        description="Shows, by segment, the differences that the short-term TDM sees, the gates of "
        "the long-term TDMs, and Grad-CAM of a class: as a picture, an animation and a page.",
    )
    parser.add_argument("video", metavar="VIDEO", help="path of a video file")
    arguments.add_weights(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write into")
    parser.add_argument(
        "--format",
        default=DEFAULT_FORMATS,
        metavar="NAME,NAME,...",
        help=f"what to write: some of strip, gif, mp4 and page (default: {DEFAULT_FORMATS})",
    )
    parser.add_argument(
        "--class",
        dest="target",
        metavar="LABEL_OR_INDEX",
        help="the class to explain (default: the predicted one)",
    )
    arguments.add_top(parser)
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="the layer whose maps Grad-CAM weighs (default: the last, stage4_block2_out of a "
        "TDN-ResNet50)",
    )
    arguments.add_labels(parser)
    arguments.add_overwrite(parser, "replace existing files")
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the predictions and where the files are."""
    from keras_tdn.explaining import explain, write_explanation
    from keras_tdn.explaining.explanation_files import check_output
    from keras_tdn.labels import load_labels

    formats = tuple(args.format.split(","))
    check_output(args.output, formats, args.overwrite)
    labels = None if args.labels is None else load_labels(args.labels)
    model = loading.load_model(args, labels)
    explanation = explain(
        model, args.video, target=args.target, top=args.top, labels=labels, layer=args.layer
    )
    video = os.path.basename(args.video)
    paths = write_explanation(
        explanation, args.output, formats, video=video, overwrite=args.overwrite
    )
    width = max(len(item.label) for item in explanation.predictions)
    lines = [f"{item.label:<{width}}  {item.score:.4f}" for item in explanation.predictions]
    lines += [f"without: {text}" for text in explanation.missing]
    sys.stdout.write("".join(f"{line}\n" for line in (*lines, *paths)))
    return 0
