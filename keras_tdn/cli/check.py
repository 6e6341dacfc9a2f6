"""`keras-tdn check`: which videos of a list are bad."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import CHECK_TIME_LIMIT
from keras_tdn.cli.lists import add_list_arguments, load_list

if TYPE_CHECKING:
    from keras_tdn.data.checking import CheckReport, FileCheck

MAX_SHOWN = 20
EXIT_BAD_FILES = 1


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "check",
        help="find the bad videos of a list",
        description="Tries every video of a list and names the bad ones, with the reason. "
        "The exit status is 0 if all are good, 1 if some are bad and 2 if the list cannot be read.",
    )
    add_list_arguments(parser)
    parser.add_argument(
        "--full",
        action="store_true",
        help="decode every video from start to end, and count damage that players hide",
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="number of processes (default: one per core)"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=CHECK_TIME_LIMIT,
        metavar="SECONDS",
        help=f"time that one file may take (default: {CHECK_TIME_LIMIT:g})",
    )
    parser.add_argument("--report", metavar="FILE", help="write the bad files as JSON lines")
    parser.add_argument(
        "--write-good", metavar="FILE.csv", help="write the list of the good files as a table"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what is bad and a summary."""
    from keras_tdn.data.checking import check_records
    from keras_tdn.progress import Progress

    records = load_list(args, skip_missing=True)
    num_bad = 0
    with Progress("keras-tdn check", len(records), unit="file") as progress:

        def show(file: FileCheck) -> None:
            nonlocal num_bad
            num_bad += bool(file.reason)
            progress.advance(bad=num_bad)

        report = check_records(
            records,
            full=args.full,
            num_processes=args.processes,
            time_limit=args.time_limit,
            on_progress=show,
        )
    if args.report is not None:
        report.write_report(args.report)
    if args.write_good is not None:
        report.write_good_list(args.write_good)
    sys.stdout.write(_bad_files(report) + _summary(report))
    return EXIT_BAD_FILES if report.bad else 0


def _bad_files(report: CheckReport) -> str:
    lines = [f"{' '.join(file.reason.split())}\n" for file in report.bad[:MAX_SHOWN]]
    if len(report.bad) > MAX_SHOWN:
        lines.append(f"... and {len(report.bad) - MAX_SHOWN} more; --report FILE lists all.\n")
    return "".join([*lines, "\n"]) if lines else ""


def _summary(report: CheckReport) -> str:
    import statistics

    good = report.good
    rows = [("files", f"{len(report.files)}, of which {len(report.bad)} bad")]
    if good:
        rows.append(("frames", _range([file.num_frames for file in good], "")))
        seconds = [file.seconds for file in good if file.seconds is not None]
        if seconds:
            total = f"{sum(seconds) / 3600:.2f} hours in all"
            rows.append(("duration", f"{_range(seconds, ' s', '.1f')}; {total}"))
        sizes = statistics.multimode(f"{file.width}x{file.height}" for file in good)
        distinct = len({(file.width, file.height) for file in good})
        rows.append(("pixels", f"{sizes[0]} most often, {distinct} different"))
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
