"""`keras-tdn ensemble`: several evaluated models as one."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from keras_tdn.cli.evaluate import ENSEMBLES


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "ensemble",
        help="join the scores of several evaluations",
        description="Joins the scores that `keras-tdn evaluate` wrote for several models on one "
        "list, such as those of 8 and 16 segments, and reports on them as on one model.",
    )
    parser.add_argument(
        "scores",
        nargs="+",
        metavar="SCORES",
        help="scores.npz files, or the folders that hold them",
    )
    parser.add_argument(
        "--method",
        choices=ENSEMBLES,
        default="softmax",
        help="how scores are joined: mean of probabilities, or the paper authors' sum of logits "
        "clipped at zero "
        "(default: softmax)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder to write the report and its page to"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the results in DIR")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the main numbers and where the rest is."""
    from keras_tdn.data.records import Record, RecordList
    from keras_tdn.evaluation.ensembles import ensemble
    from keras_tdn.evaluation.results_folder import ResultsFolder
    from keras_tdn.scoring.views import FrameReader

    report = ensemble(args.scores, args.method)
    if args.output:
        folder = ResultsFolder(Path(args.output), overwrite=args.overwrite)
        # Pictures of the mistakes come from the videos, where they still are.
        records = RecordList(
            Record(video.path, video.label, index=video.index) for video in report.videos
        )
        rows = {
            record.path: row for row, record in enumerate(records) if os.path.exists(record.path)
        }
        folder.write(None, report, FrameReader(records), rows)
    sys.stdout.write(report.summary())
    if args.output:
        sys.stdout.write(f"{os.path.join(args.output, 'report.html')}\n")
    return 0
