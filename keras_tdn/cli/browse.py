"""`keras-tdn browse`: a page of clips as the model will see them."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from keras_tdn.cli import arguments
from keras_tdn.specs import DEFAULT_CROP_SIZE, ClipSpec

PAGE_SUFFIXES = (".html", ".htm")


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "browse",
        help="look at clips as the model will see them",
        description="Shows clips of some videos of a list as the model will see them: segments, "
        "crops, differences of neighbouring frames, and labels.",
    )
    arguments.add_list_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        metavar="PAGE.html_OR_DIR",
        help="a self-contained HTML file, or a folder for one PNG file per video",
    )
    parser.add_argument(
        "--count", type=int, default=8, metavar="N", help="number of videos to show (default: 8)"
    )
    parser.add_argument(
        "--validation", action="store_true", help="show validation clips instead of training clips"
    )
    parser.add_argument(
        "--segments", type=int, default=8, metavar="N", help="segments per video (default: 8)"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=DEFAULT_CROP_SIZE,
        metavar="PIXELS",
        help=f"height and width of the crop (default: {DEFAULT_CROP_SIZE})",
    )
    parser.add_argument(
        "--epoch",
        type=int,
        default=0,
        metavar="N",
        help="epoch whose training clips are shown (default: 0)",
    )
    arguments.add_seed(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the page or the sheets, and says where."""
    from keras_tdn.data.browsing import browse_clips, write_page, write_sheets

    records = arguments.load_list(args, skip_missing=True)
    base = ClipSpec()
    spec = ClipSpec.for_crop(args.segments, base.frames_per_segment, args.size, args.size)
    clips = browse_clips(
        records,
        spec,
        training=not args.validation,
        count=args.count,
        epoch=args.epoch,
        seed=args.seed,
    )
    if args.output.lower().endswith(PAGE_SUFFIXES):
        kind = "Validation" if args.validation else "Training"
        title = f"{kind} clips of {os.path.basename(os.path.abspath(args.list))}"
        write_page(clips, args.output, records.labels, title)
    else:
        write_sheets(clips, args.output)
    unreadable = sum(bool(clip.reason) for clip in clips)
    bad = f", {unreadable} of them unreadable" if unreadable else ""
    sys.stdout.write(f"{len(clips)} of {len(records)} videos{bad}: {args.output}\n")
    return 0
