"""`keras-tdn pack`: videos to sharded TFRecords of JPEG frames."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments

if TYPE_CHECKING:
    from keras_tdn.data.packing import PackReport

MAX_FAILURES_SHOWN = 10
MEGABYTE = 1e6


def add_parser(subparsers: Any) -> None:
    """Adds the subcommand to the command line."""
    parser = subparsers.add_parser(
        "pack",
        help="pack videos into TFRecords that are read fast",
        description="Decodes every video once and writes its frames as JPEG to sharded TFRecords, "
        "in parallel. A run that was stopped for any reason continues when the same command is "
        "given again.",
    )
    arguments.add_list_arguments(parser)
    parser.add_argument("output", metavar="OUT", help="folder to pack into")
    arguments.add_skip_missing(parser)
    stored = parser.add_argument_group("stored frames")
    stored.add_argument(
        "--short-side",
        type=int,
        default=256,
        metavar="PIXELS",
        help="shrink frames to this short side if theirs is longer (default: %(default)s)",
    )
    stored.add_argument(
        "--quality",
        type=int,
        default=90,
        metavar="N",
        help="JPEG quality, 1 to 100 (default: %(default)s)",
    )
    stored.add_argument(
        "--shards",
        type=int,
        metavar="N",
        help="number of files (default: one per 64 videos, at least 16)",
    )
    stored.add_argument(
        "--name", default="videos", help="start of the file names (default: %(default)s)"
    )
    arguments.add_processes(parser)
    arguments.add_max_failure_share(parser)
    arguments.add_retry_failures(parser)
    arguments.add_overwrite(parser, "start over in a folder of a run with other options")
    arguments.add_beam(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Packs `args.list` into `args.output` and prints what was done."""
    from keras_tdn.data.packing import pack

    records = arguments.load_list(args, skip_missing=args.skip_missing)
    stored = {
        "short_side": args.short_side,
        "quality": args.quality,
        "num_shards": args.shards,
        "name": args.name,
        "max_failure_share": args.max_failure_share,
        "retry_failures": args.retry_failures,
        "overwrite": args.overwrite,
    }
    if args.beam is None:
        report = pack(records, args.output, num_processes=args.processes, **stored)
    else:
        from keras_tdn.data.packing import pack_with_beam

        if args.processes is not None:
            raise ValueError("--processes is for packing without --beam, whose options say it.")
        report = pack_with_beam(records, args.output, pipeline_options=args.beam, **stored)
    lines = [*_report_lines(report), *_missing_lines(records.missing), *_failure_lines(report)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _report_lines(report: PackReport) -> list[str]:
    kept = f", {report.num_kept_shards} of them finished before" if report.num_kept_shards else ""
    per_video = report.num_bytes / max(1, report.num_records) / MEGABYTE
    return [
        f"videos  {report.num_records} of {report.num_records + len(report.failures)}",
        f"frames  {report.num_frames}",
        f"size    {report.num_bytes / MEGABYTE:.1f} MB, {per_video:.2f} MB per video",
        f"shards  {report.num_shards}{kept}",
        f"time    {report.seconds:.1f} s",
        f"Wrote {report.folder}",
    ]


def _missing_lines(missing: tuple[str, ...]) -> list[str]:
    return [f"Not there, and left out: {len(missing)} videos"] if missing else []


def _failure_lines(report: PackReport) -> list[str]:
    if not report.failures:
        return []
    lines = [f"Failed, and left out: {len(report.failures)} videos (index.json lists all)"]
    lines += [f"  {failure.reason}" for failure in report.failures[:MAX_FAILURES_SHOWN]]
    return lines
