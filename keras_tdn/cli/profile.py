"""`keras-tdn profile`: what a model costs."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments, loading

if TYPE_CHECKING:
    import keras

DEFAULT_SIZE = "224"
DEFAULT_FRAMES = 5
DEFAULT_CLASSES = 400
BATCH_SIZES = re.compile(r"\d+(,\d+)*")


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "profile",
        help="measure what a model costs to run",
        description="Counts multiply-accumulates, parameters and activations by stage and by kind "
        "of module, and measures latency and throughput on this machine.",
    )
    arguments.add_architecture(parser)
    parser.add_argument(
        "--frames-per-segment", type=int, metavar="N", help="frames in a segment (default: 5)"
    )
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes (default: 400)")
    parser.add_argument(
        "--size",
        metavar=arguments.SIZE_METAVAR,
        help=f"size of a frame (default: {DEFAULT_SIZE}, or that of the weights' clips)",
    )
    arguments.add_weights(parser, required=False)
    parser.add_argument(
        "--batch-sizes",
        default="1,2,4",
        metavar="N,N,...",
        help="batch sizes to time (default: 1,2,4)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=10,
        metavar="N",
        help="batches to time for each size (default: 10)",
    )
    parser.add_argument("--no-latency", action="store_true", help="only count, without timing")
    parser.add_argument("--report", metavar="FILE", help="also write all numbers as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the tables."""
    size = None if args.size is None else arguments.parse_size("--size", args.size)
    batch_sizes = () if args.no_latency else _batch_sizes(args.batch_sizes)
    if args.report is not None and os.path.isdir(args.report):
        raise ValueError(f"--report names a file to write, and {args.report!r} is a folder.")
    model = _model(args, size)
    from keras_tdn.profiling import profile_model

    profile = profile_model(model, size, batch_sizes=batch_sizes, repeats=args.repeats)
    if args.report is not None:
        profile.save(args.report)
    sys.stdout.write(profile.summary())
    return 0


def _model(args: argparse.Namespace, size: tuple[int, int] | None) -> keras.Model:
    import keras_tdn.models
    from keras_tdn.pretrained.weights_source import DATASETS

    if args.weights is None:
        build = getattr(keras_tdn.models, arguments.MODELS[args.model or arguments.DEFAULT_MODEL])
        segments = arguments.DEFAULT_SEGMENTS if args.segments is None else args.segments
        frames = DEFAULT_FRAMES if args.frames_per_segment is None else args.frames_per_segment
        return build(
            num_segments=segments,
            frames_per_segment=frames,
            classes=DEFAULT_CLASSES if args.classes is None else args.classes,
            input_shape=(None, *(size or (int(DEFAULT_SIZE),) * 2), 3),
        )
    if args.weights.endswith(loading.WEIGHTS_SUFFIX):
        model = loading.load_model(args, None)
    else:
        # What the weights bring along is compared with what is asked for, and not asked for.
        bare = argparse.Namespace(weights=args.weights, model=None, segments=None, classes=None)
        if args.weights in DATASETS:
            bare.model, bare.segments = args.model, args.segments
        model = loading.load_model(bare, None)
    asked = {
        "--model": (args.model and loading.depths_of(args.model), "stage_depths"),
        "--segments": (args.segments, "num_segments"),
        "--frames-per-segment": (args.frames_per_segment, "frames_per_segment"),
        "--classes": (args.classes, "classes"),
    }
    for option, (wanted, attribute) in asked.items():
        own = getattr(model, attribute, None)
        if wanted is not None and wanted != own:
            raise ValueError(
                f"{option} {getattr(args, option[2:].replace('-', '_'))} does not fit the weights "
                f"{args.weights!r}, whose model has {attribute}={own}. Leave the option out, or "
                "leave --weights out to profile another architecture."
            )
    return model


def _batch_sizes(text: str) -> tuple[int, ...]:
    if BATCH_SIZES.fullmatch(text) is None:
        raise ValueError(
            f"--batch-sizes is numbers with commas between them, such as 1,2,4. Received: {text!r}"
        )
    return tuple(int(number) for number in text.split(","))
