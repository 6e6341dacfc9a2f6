"""`keras-tdn label`: labels, scores and features of many videos."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments, loading

if TYPE_CHECKING:
    from keras_tdn.labelling import LabelReport

FORMATS = ("jsonl", "parquet")
MAX_FAILURES_SHOWN = 10


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "label",
        help="label all videos of a list or a folder",
        description="Writes a row for every video: its top classes, their scores and, if asked "
        "for, its features; or why it cannot be read. A run that was stopped for any reason "
        "continues when the same command is given again.",
    )
    arguments.add_list_arguments(parser, packed=True)
    parser.add_argument("output", metavar="OUT", help="folder for the rows")
    arguments.add_weights(parser)
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--output-format",
        choices=FORMATS,
        default="jsonl",
        help="JSON lines, or Parquet, which needs the extra [parquet] (default: jsonl)",
    )
    arguments.add_top(rows)
    rows.add_argument("--features", action="store_true", help="also write the pooled features")
    rows.add_argument(
        "--videos-per-file",
        type=int,
        default=1000,
        metavar="N",
        help="rows in each file of OUT (default: 1000)",
    )
    arguments.add_view_arguments(parser)
    parser.add_argument(
        "--graph-dtype",
        choices=("float32", "bfloat16"),
        help="run the inference graph of `keras-tdn export` in this precision, which is faster on "
        "CPUs (default: in float32, for long lists on CPUs, if it agrees with the Keras model)",
    )
    arguments.add_scoring_arguments(parser)
    parser.add_argument(
        "--in-processes",
        action="store_true",
        help="read videos in processes of their own, so that a bad file crashes or hangs only one",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="time that one video may take with --in-processes (default: 300)",
    )
    again = parser.add_argument_group("earlier results")
    arguments.add_retry_failures(again)
    arguments.add_overwrite(again, "start over in a folder of a run with other options")
    arguments.add_model_arguments(parser)
    arguments.add_beam(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Labels `args.list` into `args.output` and prints what was done."""
    views = arguments.views_of(args)
    if args.time_limit is not None and not args.in_processes:
        raise ValueError("--time-limit is for --in-processes: a thread cannot be ended. Pass both.")
    from keras_tdn.labelling import LabelOptions
    from keras_tdn.labelling.labeller import check_format
    from keras_tdn.labelling.labelling_run import list_videos
    from keras_tdn.labels import load_labels

    options = LabelOptions(
        top=args.top,
        features=args.features,
        views=views,
        average=args.average,
        format=args.output_format,
        videos_per_shard=args.videos_per_file,
        seed=args.seed,
        graph_dtype=args.graph_dtype,
    )
    check_format(options.format)
    videos = list_videos(
        args.list, format=args.format, root=args.root, split=args.split, fold=args.fold
    )
    names = None if args.labels is None else load_labels(args.labels)
    label = _label_here if args.beam is None else _label_with_beam
    report = label(
        args,
        names,
        videos,
        options,
        {
            "labels": names,
            "batch_size": args.batch_size,
            "in_processes": args.in_processes,
            "overwrite": args.overwrite,
            "retry_failures": args.retry_failures,
            **({} if args.time_limit is None else {"time_limit": args.time_limit}),
        },
    )
    sys.stdout.write("\n".join(_report_lines(report)) + "\n")
    return 0


def _label_here(
    args: argparse.Namespace, names: Any, videos: Any, options: Any, how: dict[str, Any]
) -> LabelReport:
    from keras_tdn.labelling import label_videos

    model = loading.load_model(args, names)
    return label_videos(model, videos, args.output, options, num_workers=args.workers, **how)


def _label_with_beam(
    args: argparse.Namespace, names: Any, videos: Any, options: Any, how: dict[str, Any]
) -> LabelReport:
    import functools

    from keras_tdn.labelling import label_with_beam

    if args.workers is not None:
        raise ValueError("--workers is for labelling without --beam, whose options say it.")
    arguments = {name: getattr(args, name) for name in ("weights", *loading.MODEL_ARGUMENTS)}
    if os.path.exists(args.weights):
        arguments["weights"] = os.path.abspath(args.weights)
    load = functools.partial(loading.load_model, argparse.Namespace(**arguments), names)
    return label_with_beam(load, videos, args.output, options, pipeline_options=args.beam, **how)


def _report_lines(report: LabelReport) -> list[str]:
    kept = f", {report.num_kept} of them labelled before" if report.num_kept else ""
    lines = [
        f"videos  {report.num_videos}{kept}",
        f"files   {report.num_shards}",
        f"time    {report.seconds:.1f} s, {report.videos_per_second:.3g} videos/s",
        f"Wrote {report.folder}",
    ]
    if report.failures:
        lines.append(f"Cannot be read: {len(report.failures)} videos (failures.jsonl lists all)")
        lines += [
            f"  {' '.join(failure.reason.split())}"
            for failure in report.failures[:MAX_FAILURES_SHOWN]
        ]
    return lines
