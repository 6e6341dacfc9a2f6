"""`keras-tdn compare`: whether two evaluations differ beyond chance."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from keras_tdn.cli import arguments


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "compare",
        help="tell whether two models differ beyond chance",
        description="Compares two reports that `keras-tdn evaluate` wrote for the same videos: "
        "McNemar's exact test, and a paired bootstrap of the differences.",
    )
    parser.add_argument(
        "first", metavar="REPORT", help="a report.json, or the folder that holds it"
    )
    parser.add_argument("second", metavar="REPORT", help="the one to compare it with")
    parser.add_argument(
        "--resamples",
        type=int,
        default=10_000,
        metavar="N",
        help="samples of the bootstrap (default: 10000)",
    )
    arguments.add_seed(parser)
    arguments.add_json(parser, "the comparison as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the comparison."""
    from keras_tdn.evaluation.comparison import compare

    comparison = compare(args.first, args.second, resamples=args.resamples, seed=args.seed)
    if args.json:
        told = {**dataclasses.asdict(comparison), "beyond_chance": comparison.beyond_chance}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(comparison.summary())
    return 0
