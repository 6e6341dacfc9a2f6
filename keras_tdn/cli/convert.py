"""`keras-tdn convert`: a checkpoint of the authors' as a Keras model."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.cli import arguments

if TYPE_CHECKING:
    from keras_tdn.pretrained import ConversionReport

DEFAULT_SEGMENTS = 8
MIN_SIZE = 32
FRAMES_PER_SEGMENT = 5

# Which data sets have a number of classes: a reminder, and no more, because numbers do not tell.
LABELS_BY_CLASSES = {
    51: ("hmdb51",),
    101: ("ucf101",),
    174: ("something_something_v1", "something_something_v2"),
    400: ("kinetics400",),
}


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "convert",
        help="convert a PyTorch checkpoint of the paper's authors",
        description="Converts a checkpoint of the paper's PyTorch code, compares the result with "
        "PyTorch, and writes it. Needs PyTorch. No code in the checkpoint is run.",
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="the file, for example best.pth.tar"
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        help=f"where to write: a .keras file, a {WEIGHTS_SUFFIX} file, or else a preset folder",
    )
    parser.add_argument(
        "--segments",
        type=int,
        metavar="N",
        help="segments that the checkpoint was trained with, which the file does not say "
        f"(default: {DEFAULT_SEGMENTS})",
    )
    arguments.add_labels(parser, come_with_weights=False)
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="fix the clips' height and width (default: any, with crops of 224)",
    )
    arguments.add_overwrite(parser, "replace what is at OUT")
    parser.add_argument(
        "--no-verify", action="store_true", help="do not compare the result with PyTorch"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Converts `args.checkpoint` to `args.output` and prints a report."""
    segments = DEFAULT_SEGMENTS if args.segments is None else args.segments
    for option, value, least in (("segments", segments, 1), ("size", args.size, MIN_SIZE)):
        if value is not None and value < least:
            raise ValueError(f"--{option} must be at least {least}. Received: {value}")
    shape = None if args.size is None else (segments * FRAMES_PER_SEGMENT, args.size, args.size, 3)
    from keras_tdn.pretrained import convert_official_checkpoint

    report = convert_official_checkpoint(
        args.checkpoint,
        args.output,
        num_segments=segments,
        labels=args.labels,
        input_shape=shape,
        verify=not args.no_verify,
        overwrite=args.overwrite,
    )
    lines = [
        *_model_lines(report, assumed=args.segments is None),
        *_label_lines(report),
        *_tap_lines(report),
        *_next_lines(args, report),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _model_lines(report: ConversionReport, assumed: bool) -> list[str]:
    lines = [
        f"model     {report.model.name}: stages of {report.stage_depths} blocks, "
        f"width {report.width}",
        f"classes   {report.classes}",
        f"segments  {report.num_segments}" + (" (ASSUMED)" if assumed else ""),
    ]
    if assumed:
        lines += [
            f"          WARNING: no checkpoint tells its segments; {report.num_segments} is a",
            "          guess and, if wrong, gives wrong scores without an error.",
            "          Pass --segments 16 if it was trained with 16.",
        ]
    return lines


def _label_lines(report: ConversionReport) -> list[str]:
    if report.labels is not None:
        return [f"labels    {report.labels[0]}, ... ({len(report.labels)})"]
    lines = ["labels    none: classes will be called by number"]
    names = LABELS_BY_CLASSES.get(report.classes, ())
    if names:
        options = " or ".join(f"--labels {name}" for name in names)
        lines.append(
            f"          {report.classes} classes: if these are that data set's, add {options}"
        )
    else:
        lines.append("          To add them: --labels FILE, one name per line")
    return lines


def _tap_lines(report: ConversionReport) -> list[str]:
    if not report.verified:
        return ["", "NOT VERIFIED (--no-verify)"]
    from keras_tdn.pretrained.conversion import format_taps

    return [
        "",
        "Relative errors against PyTorch in float64: each block alone (at most 1e-4), and the",
        "whole network (at most 1e-4, or 10 times what PyTorch's own float32 is off)",
        *(f"  {line}" for line in format_taps(report.taps)),
    ]


def _next_lines(args: argparse.Namespace, report: ConversionReport) -> list[str]:
    command = f"keras-tdn predict VIDEO --weights {args.output}"
    return ["", f"Wrote {report.output}", f"Next: {command}"]
