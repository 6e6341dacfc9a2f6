"""`keras-tdn export`: a model as other software serves it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from keras_tdn.cli import predict
from keras_tdn.export.destination import check_version_folder
from keras_tdn.export.dtypes import DTYPES
from keras_tdn.labels import load_labels

FORMATS = ("saved_model",)
DEFAULT_TOP = 5
MEGABYTE = 1e6


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "export",
        help="write a model as TensorFlow Serving takes it",
        description="Writes a SavedModel that takes raw or JPEG frames and answers with labels and "
        "scores. Loading it needs TensorFlow alone.",
    )
    parser.add_argument(
        "--weights",
        required=True,
        metavar="PRESET_OR_FILE",
        help=f"preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
        f"{predict.MODEL_SUFFIX} file or {predict.WEIGHTS_SUFFIX} file",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="(default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR/VERSION",
        help="folder to write, named by a version number, as TensorFlow Serving wants it: "
        "exported/tdn/1",
    )
    parser.add_argument(
        "--labels",
        metavar="NAME_OR_FILE",
        help="class names: a data set's name or a text file with one per line "
        "(default: those that come with the weights)",
    )
    parser.add_argument(
        "--top",
        type=int,
        default=DEFAULT_TOP,
        metavar="N",
        help="classes that an answer names (default: %(default)s)",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help="precision of the network; bfloat16 takes about half of the time where the processor "
        "has instructions for it (default: %(default)s)",
    )
    bare = parser.add_argument_group(
        f"for a {predict.WEIGHTS_SUFFIX} file or a data set's name",
        "which do not say what model they are for",
    )
    bare.add_argument("--model", choices=sorted(predict.MODELS))
    bare.add_argument("--segments", type=int, metavar="N")
    bare.add_argument("--classes", type=int, metavar="N")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports `args.weights` to `args.output` and prints what can be asked of it."""
    check_version_folder(args.output)
    labels = None if args.labels is None else load_labels(args.labels)
    model = predict._load_model(args, labels)
    from keras_tdn.export.saved_model import export_saved_model

    path = export_saved_model(model, args.output, top=args.top, labels=labels, dtype=args.dtype)
    sys.stdout.write("".join(f"{line}\n" for line in _report(model, path)))
    return 0


def _report(model: Any, path: Path) -> list[str]:
    spec = model.clip_spec
    clips = f"clips uint8 (batch, {spec.num_frames}, {spec.height}, {spec.width}, 3)"
    answer = "scores, labels, top_scores"
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return [
        f"serving_default  {clips} -> {answer}",
        f"encoded_frames   encoded_frames JPEG (batch, {spec.num_frames}) -> {answer}",
        f"features         {clips} -> features",
        f"Wrote {path} ({size / MEGABYTE:.1f} MB)",
    ]
