"""Which views of each video, for every command that averages them."""

from __future__ import annotations

import argparse
import re

from keras_tdn.cli.loading import parse_size
from keras_tdn.specs import CLIP_MODES, ViewSpec

VIEWS = re.compile(r"(\d+)x(\d+)")


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says which views are taken and how they are averaged."""
    parser.add_argument(
        "--views",
        default="1x1",
        metavar="CLIPSxCROPS",
        help="clips of each video times crops of each clip (1, 3 or 10 crops). Default: 1x1, the "
        "centre; the paper's thirty views are 10x3",
    )
    parser.add_argument(
        "--clip-mode",
        choices=CLIP_MODES,
        default="uniform",
        help="how several clips are placed in the video (default: uniform)",
    )
    parser.add_argument(
        "--always-across",
        action="store_true",
        help="place three crops side by side in portrait videos too, where they coincide, as the "
        "paper's authors do",
    )
    parser.add_argument(
        "--crop-size",
        metavar="PIXELS_OR_HxW",
        help="size of the crops (default: that of the model's clips; for three crops, the short "
        "side)",
    )
    parser.add_argument(
        "--average",
        choices=("softmax", "logits"),
        default="softmax",
        help="what is averaged over views (default: softmax)",
    )


def views_of(args: argparse.Namespace) -> ViewSpec:
    """The views that the arguments name.

    Raises:
        ValueError: if they name none.
    """
    match = VIEWS.fullmatch(args.views)
    if match is None:
        raise ValueError(
            f"--views is CLIPSxCROPS, such as 1x1, 1x3 or 10x3. Received: {args.views!r}"
        )
    size = None
    if args.crop_size is not None:
        size = parse_size("--crop-size", args.crop_size)
    return ViewSpec(
        num_clips=int(match[1]),
        num_crops=int(match[2]),
        clip_mode=args.clip_mode,
        always_across=args.always_across,
        crop_size=size,
    )
