"""`keras-tdn demo`: everything once, on data that it makes itself."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keras_tdn.choices import DEMO_EPOCHS, DEMO_OUTPUT
from keras_tdn.cli import arguments


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "demo",
        help="make data, train, measure, export and label, in under three minutes",
        description="Renders videos whose classes differ by motion alone, trains a compact TDN and "
        "the same network of single frames on them, measures both on other videos, exports the "
        "TDN, has the export label a fresh video, and writes a page of what happened. Downloads "
        "nothing. Takes less than three minutes on two processor cores, and 100 MB of disk.",
    )
    parser.add_argument(
        "--output",
        default=DEMO_OUTPUT,
        metavar="DIR",
        help="folder to write to, new or empty (default: %(default)s)",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--epochs",
        type=int,
        default=DEMO_EPOCHS,
        metavar="N",
        help="passes over the training videos (default: %(default)s); fewer are faster and less "
        "accurate",
    )
    size.add_argument(
        "--short",
        action="store_true",
        help="a few videos and one epoch: shows within a minute whether everything works on this "
        "machine, and learns next to nothing",
    )
    arguments.add_seed(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the demo and prints where its page is."""
    from keras_tdn.demo import DemoSettings, run_demo
    from keras_tdn.demo.demo_page import next_commands

    if args.short:
        settings = DemoSettings.short(args.seed)
    else:
        settings = DemoSettings(epochs=args.epochs, seed=args.seed)
    try:
        result = run_demo(args.output, settings, tell=_tell)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Nothing was left behind; the same command starts anew.\n")
        raise
    _tell(f"Done in {result.total.seconds:.0f} s.")
    _tell(f"Page    {result.page}")
    _tell(f"Preset  {result.preset}")
    _tell(f"Next    {next(next_commands(result))[1]}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
