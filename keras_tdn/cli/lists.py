"""`keras-tdn check`, `browse` and `pack`: the videos of a list, before a model sees them."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import CHECK_TIME_LIMIT
from keras_tdn.cli import arguments
from keras_tdn.cli.arguments import option, write_lines
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.checking import CheckReport, FileCheck

MAX_BAD_SHOWN = 20
MAX_FAILURES_SHOWN = 10
EXIT_BAD_FILES = 1
MEGABYTE = 1e6


def add_check(parser: Any) -> None:
    """Tries every video of a list and names the bad ones, with the reason. The exit status is 0 if
    all are good, 1 if some are bad and 2 if the list cannot be read.
    """
    parser.set_defaults(run=_run_check)
    arguments.add_list_arguments(parser)
    text = "decode every video from start to end, and count damage that players hide"
    option(parser, "--full", None, text)
    option(parser, "--report", "FILE", "write the bad files as JSON lines")
    option(parser, "--write-good", "FILE.csv", "write the list of the good files as a table")
    arguments.shared(parser, "--processes")
    option(parser, "--time-limit", "SECONDS", "time that one file may take", CHECK_TIME_LIMIT)
    arguments.shared(parser, "--quiet")


def _run_check(args: argparse.Namespace) -> int:
    from keras_tdn.data.checking import check_records
    from keras_tdn.data.records import RecordList
    from keras_tdn.progress import Progress

    # Missing files and shards are bad ones, unless they are to be left out.
    records = arguments.load_list(args, check_shards=False, skip_missing=True)
    if args.skip_missing and records.missing:
        records = RecordList(records, records.labels, records.num_classes)
    num_bad = 0
    with Progress("keras-tdn check", len(records), unit="file") as progress:

        def show(file: FileCheck) -> None:
            nonlocal num_bad
            num_bad += bool(file.reason)
            progress.advance(bad=num_bad)

        how = arguments.given(args, "full", "time_limit")
        report = check_records(records, num_processes=args.processes, on_progress=show, **how)
    if args.report is not None:
        report.write_report(args.report)
    if args.write_good is not None:
        report.write_good_list(args.write_good)
    lines = [f"{' '.join(file.reason.split())}\n" for file in report.bad[:MAX_BAD_SHOWN]]
    if len(report.bad) > MAX_BAD_SHOWN:
        lines.append(f"... and {len(report.bad) - MAX_BAD_SHOWN} more; --report FILE lists all.\n")
    sys.stdout.write("".join([*lines, "\n" if lines else "", _summary(report)]))
    return EXIT_BAD_FILES if report.bad else 0


def _summary(report: CheckReport) -> str:
    good = report.good
    rows = [("files", f"{len(report.files)}, of which {len(report.bad)} bad")]
    if good:
        rows.append(("frames", _range([file.num_frames for file in good], "")))
        seconds = [file.seconds for file in good if file.seconds is not None]
        if seconds:
            total = f"{sum(seconds) / 3600:.2f} hours in all"
            rows.append(("duration", f"{_range(seconds, ' s', '.1f')}; {total}"))
        sizes = Counter(f"{file.width}x{file.height}" for file in good)
        (most_often, _), *_ = sizes.most_common(1)
        rows.append(("pixels", f"{most_often} most often, {len(sizes)} different"))
        rows.append(("size", f"{sum(file.num_bytes or 0 for file in good) / 1e9:.3f} GB in all"))
    counts = report.class_counts
    if counts:
        numbers = sorted(counts.values())
        rows.append(("classes", f"{len(counts)}, of {_range(numbers, ' good files')}"))
        empty = [name for name, count in counts.items() if count == 0]
        if empty:
            more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
            rows.append(("", f"none in {', '.join(empty[:5])}{more}"))
    return "".join(f"{name:<9} {text}\n" for name, text in rows)


def _range(values: Sequence[Any], unit: str, spec: str = ".0f") -> str:
    import statistics

    low, middle, high = min(values), statistics.median(values), max(values)
    if low == high:
        return f"{low:{spec}}{unit} each"
    return f"{low:{spec}} to {high:{spec}}{unit}, median {middle:{spec}}"


def add_browse(parser: Any) -> None:
    """Shows clips of some videos of a list as the model will see them: segments, crops, differences
    of neighbouring frames, and labels.
    """
    parser.set_defaults(run=_run_browse)
    arguments.add_list_arguments(parser)
    option(parser, "--count", "N", "number of videos to show", 8)
    option(parser, "--validation", None, "show validation clips instead of training clips")
    option(parser, "--segments", "N", "segments per video", arguments.DEFAULT_SEGMENTS)
    option(parser, "--size", "PIXELS", "height and width of the crop", DEFAULT_CROP_SIZE)
    option(parser, "--epoch", "N", "epoch whose training clips are shown", 0)
    text = "a self-contained HTML file, or a folder for one PNG file per video"
    option(parser, "--output", "PAGE.html_OR_DIR", text, required=True)
    arguments.shared(parser, "--seed")


def _run_browse(args: argparse.Namespace) -> int:
    from keras_tdn.data.browsing import browse_clips, write_page, write_sheets

    records = arguments.load_list(args)
    spec = ClipSpec.for_crop(args.segments, arguments.FRAMES_PER_SEGMENT, args.size, args.size)
    how = arguments.given(args, "count", "epoch", "seed")
    clips = browse_clips(records, spec, training=not args.validation, **how)
    if args.output.lower().endswith((".html", ".htm")):
        kind = "Validation" if args.validation else "Training"
        title = f"{kind} clips of {os.path.basename(os.path.abspath(args.list))}"
        write_page(clips, args.output, records.labels, title)
    else:
        write_sheets(clips, args.output)
    unreadable = sum(bool(clip.reason) for clip in clips)
    bad = f", {unreadable} of them unreadable" if unreadable else ""
    sys.stdout.write(f"{len(clips)} of {len(records)} videos{bad}: {args.output}\n")
    return 0


def add_pack(parser: Any) -> None:
    """Decodes every video once and writes its frames as JPEG to sharded TFRecords, in parallel. A
    run that was stopped for any reason continues with --resume.
    """
    parser.set_defaults(run=_run_pack)
    arguments.add_list_arguments(parser)
    arguments.add_placed_output(parser, "folder to pack into")
    stored = parser.add_argument_group("stored frames")
    text = "shrink frames to this short side if theirs is longer"
    option(stored, "--short-side", "PIXELS", text, 256)
    option(stored, "--quality", "N", "JPEG quality, 1 to 100", 90)
    option(stored, "--shards", "N", "number of files (default: one per 64 videos, at least 16)")
    option(stored, "--name", "NAME", "start of the file names", "videos")
    arguments.add_earlier_results(parser)
    arguments.shared(parser, "--retry-failures", "--processes", "--max-failure-share", "--quiet")
    arguments.add_beam(parser)


def _run_pack(args: argparse.Namespace) -> int:
    from keras_tdn.data.packing import pack, pack_with_beam
    from keras_tdn.data.packing.index import is_packed
    from keras_tdn.files.resumable_folder import check_unused

    if not (args.resume or args.overwrite):
        check_unused(args.output)
    if is_packed(args.list):
        raise ValueError(f"{args.list!r} is packed already. Pass the list of the videos.")
    records = arguments.load_list(args)
    named = ("short_side", "quality", "name", "max_failure_share", "retry_failures", "overwrite")
    stored = {"num_shards": args.shards, **arguments.given(args, *named)}
    if args.beam is None:
        report = pack(records, args.output, num_processes=args.processes, **stored)
    else:
        if args.processes is not None:
            raise ValueError("--processes is for packing without --beam, whose options say it.")
        report = pack_with_beam(records, args.output, pipeline_options=args.beam, **stored)
    kept = f", {report.num_kept_shards} of them finished before" if report.num_kept_shards else ""
    per_video = report.num_bytes / max(1, report.num_records) / MEGABYTE
    lines = [
        f"videos  {report.num_records} of {report.num_records + len(report.failures)}",
        f"frames  {report.num_frames}",
        f"size    {report.num_bytes / MEGABYTE:.1f} MB, {per_video:.2f} MB per video",
        f"shards  {report.num_shards}{kept}",
        f"time    {report.seconds:.1f} s",
        f"Wrote {report.folder}",
    ]
    if records.missing:
        lines.append(f"Not there, and left out: {len(records.missing)} videos")
    if report.failures:
        lines.append(f"Failed, and left out: {len(report.failures)} videos (index.json lists all)")
        lines += [f"  {failure.reason}" for failure in report.failures[:MAX_FAILURES_SHOWN]]
    write_lines(*lines)
    return 0
