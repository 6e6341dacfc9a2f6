"""`keras-tdn export`: a model as other software serves it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keras_tdn.choices import FOLDED_DTYPES
from keras_tdn.cli import arguments, loading
from keras_tdn.export.formats import PORTABLE_FORMATS, SAVED_MODEL, check_dtype

FORMATS = (SAVED_MODEL, *PORTABLE_FORMATS)
_STORED = (dtype for kind in PORTABLE_FORMATS.values() for dtype in kind.dtypes)
ALL_DTYPES = tuple(dict.fromkeys([*FOLDED_DTYPES, *_STORED]))
MEGABYTE = 1e6


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "export",
        help="write a model for TensorFlow Serving, ONNX Runtime, OpenVINO or LiteRT",
        description="Writes a SavedModel that takes raw or JPEG frames and answers with labels and "
        "scores, and needs TensorFlow alone to load; or a folder with a model for another runtime, "
        "which takes raw frames and gives scores.",
    )
    arguments.add_weights(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="format to write (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR/VERSION",
        help="folder to write; for a SavedModel, its name is a version number, as TensorFlow "
        "Serving expects: exported/tdn/1",
    )
    arguments.add_labels(parser)
    arguments.add_top(parser, what="classes to name in an answer")
    parser.add_argument(
        "--dtype",
        choices=ALL_DTYPES,
        default=FOLDED_DTYPES[0],
        help="precision. SavedModel: float32 or bfloat16, which takes about half the time where "
        "the processor has instructions for it. OpenVINO: stored weights in float32 or float16. "
        "LiteRT: the same, or int8 (default: %(default)s)",
    )
    parser.add_argument(
        "--warm-up",
        action=argparse.BooleanOptionalAction,
        help="include requests that a server warms up with (default: if the extra "
        "keras-tdn[serving] is installed)",
    )
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports `args.weights` to `args.output` and prints what can be asked of it."""
    from keras_tdn.export.saved_model import check_version_folder
    from keras_tdn.labels import load_labels

    if args.format == SAVED_MODEL:
        check_version_folder(args.output)
        check_dtype(args.dtype)
    else:
        PORTABLE_FORMATS[args.format].check(args.dtype)
    labels = None if args.labels is None else load_labels(args.labels)
    model = loading.load_model(args, labels)
    from keras_tdn import export

    if args.format == SAVED_MODEL:
        path = export.export_saved_model(
            model, args.output, top=args.top, labels=labels, dtype=args.dtype, warm_up=args.warm_up
        )
        lines = _signatures(model)
    else:
        path = export.export_portable(
            model, args.output, args.format, dtype=args.dtype, labels=labels
        )
        lines = [f"{PORTABLE_FORMATS[args.format].file}  {_clips(model)} -> scores"]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    lines.append(f"Wrote {path} ({size / MEGABYTE:.1f} MB)")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _clips(model: Any) -> str:
    spec = model.clip_spec
    return f"clips uint8 (batch, {spec.num_frames}, {spec.height}, {spec.width}, 3)"


def _signatures(model: Any) -> list[str]:
    answer = "scores, labels, top_scores"
    frames = model.clip_spec.num_frames
    return [
        f"serving_default  {_clips(model)} -> {answer}",
        f"encoded_frames   encoded_frames JPEG (batch, {frames}) -> {answer}",
        f"features         {_clips(model)} -> features",
        "describe         request string (batch,) -> manifest",
    ]
