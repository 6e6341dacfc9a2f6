"""`keras-tdn label`: labels, scores and features of many videos."""

from __future__ import annotations

import argparse
import functools
import os
from typing import Any

from keras_tdn.choices import FOLDED_DTYPES
from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import option, write_lines

MAX_FAILURES_SHOWN = 10


def add_label(parser: Any) -> None:
    """Writes a row for every video: its top classes, their scores and, if asked for, its features;
    or why it cannot be read. A run that was stopped for any reason continues with --resume.
    """
    parser.set_defaults(run=_run_label)
    arguments.add_list_arguments(parser, has_model=True)
    arguments.add_placed_output(parser, "folder for the rows")
    arguments.add_weights(parser)
    rows = parser.add_argument_group("rows")
    text = "JSON lines, or Parquet, which needs the extra [parquet]"
    option(rows, "--output-format", ("jsonl", "parquet"), text, "jsonl")
    arguments.shared(rows, "--top")
    option(rows, "--features", None, "also write the pooled features")
    option(rows, "--videos-per-shard --videos-per-file", "N", "videos in each file of OUT", 1000)
    arguments.add_earlier_results(parser)
    arguments.shared(parser, "--retry-failures", *arguments.VIEWS, *arguments.SCORING)
    text = "run the inference graph of `keras-tdn export` in this precision, which is faster on "
    text += "CPUs (default: in float32, for long lists on CPUs, if it agrees with the Keras model)"
    option(parser, "--graph-dtype", FOLDED_DTYPES, text)
    arguments.add_model_arguments(parser)
    arguments.shared(parser, "--quiet")
    arguments.add_beam(parser)


def _run_label(args: argparse.Namespace) -> int:
    views, scoring = arguments.views_of(args), arguments.scoring_of(args)
    from keras_tdn.files.resumable_folder import check_unused
    from keras_tdn.labelling import LabelOptions, label_videos, label_with_beam
    from keras_tdn.labelling.labeller import check_format

    named = ("top", "features", "average", "videos_per_shard", "seed", "graph_dtype")
    options = LabelOptions(views=views, format=args.output_format, **arguments.given(args, *named))
    check_format(options.format)
    if not (args.resume or args.overwrite):
        check_unused(args.output)
    videos = _videos(args)
    names = loading.labels_of(args)
    how = {**scoring, **arguments.given(args, "overwrite", "retry_failures"), "labels": names}
    if args.beam is None:
        report = label_videos(loading.load_model(args, names), videos, args.output, options, **how)
    else:
        if how.pop("num_workers") is not None:
            raise ValueError("--workers is for labelling without --beam, whose options say it.")
        if os.path.exists(args.weights):
            args.weights = os.path.abspath(args.weights)
        load = functools.partial(loading.load_model, args, names)
        how["pipeline_options"] = args.beam
        report = label_with_beam(load, videos, args.output, options, **how)
    kept = f", {report.num_kept} of them labelled before" if report.num_kept else ""
    lines = [
        f"videos  {report.num_videos}{kept}",
        f"files   {report.num_shards}",
        f"time    {report.seconds:.1f} s, {report.videos_per_second:.3g} videos/s",
        f"Wrote {report.folder}",
    ]
    if report.failures:
        lines.append(f"Cannot be read: {len(report.failures)} videos (failures.jsonl lists all)")
        shown = report.failures[:MAX_FAILURES_SHOWN]
        lines += [f"  {' '.join(failure.reason.split())}" for failure in shown]
    write_lines(*lines)
    return 0


def _videos(args: argparse.Namespace) -> Any:
    """The videos to label; those whose files are missing have rows too, unless told otherwise."""
    from keras_tdn.data.packing.index import is_packed
    from keras_tdn.data.records import RecordList
    from keras_tdn.labelling.labelling_run import list_videos

    videos = list_videos(args.list, **arguments.given(args, "format", "root", "split", "fold"))
    if not args.skip_missing or is_packed(args.list):
        return videos
    there = (video for video in videos if os.path.exists(video.path))
    return list_videos(RecordList(there, videos.labels, videos.num_classes))
