"""The lists of videos that commands read, and the options that say how."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import RECORD_FORMATS

if TYPE_CHECKING:
    from keras_tdn.data.records import RecordList

LIST_HELP = "list, annotation file or folder of videos"
PACKED_HELP = f"{LIST_HELP}, or folder that `keras-tdn pack` wrote"
SPLIT_HELP = "train, val, test or all, where it has several"


def add_list_arguments(
    parser: argparse.ArgumentParser, packed: bool = False, nargs: str | None = None
) -> None:
    """Adds what names one list of records.

    Args:
        parser: The command's.
        packed: Whether the command takes packed videos too.
        nargs: For a command that finds the list itself.
    """
    parser.add_argument(
        "list", metavar="LIST", nargs=nargs, help=PACKED_HELP if packed else LIST_HELP
    )
    group = parser.add_argument_group("list of videos")
    add_reading_options(group)
    if not packed:
        # Commands that take packed videos have a model, which knows.
        add_classes_option(group)
    group.add_argument(
        "--split", metavar="NAME", help=f"part of the data set that LIST describes: {SPLIT_HELP}"
    )


def add_reading_options(group: Any) -> None:
    """Adds what lists have in common that one command reads."""
    group.add_argument(
        "--format",
        choices=RECORD_FORMATS,
        metavar="FORMAT",
        help=f"format of the list: {', '.join(RECORD_FORMATS)} (default: detected)",
    )
    group.add_argument(
        "--root",
        metavar="DIR",
        help="folder that relative paths start from (default: the list's own)",
    )
    group.add_argument(
        "--labels",
        metavar="NAME_OR_FILE",
        help="class names: a data set's name or a text file with one per line",
    )
    group.add_argument(
        "--fold", type=int, metavar="N", help="number of the HMDB51 split to use (default: 1)"
    )


def add_classes_option(group: Any) -> None:
    """Adds what a list leaves open whose labels are numbers."""
    group.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes of a list whose labels are numbers without names (default: as the "
        "largest label tells)",
    )


def load_list(args: argparse.Namespace, **options: Any) -> RecordList:
    """The records that the arguments name; `options` are those of `load_records`."""
    from keras_tdn.data.records.load import load_records

    return load_records(
        args.list,
        format=args.format,
        root=args.root,
        labels=args.labels,
        num_classes=args.classes,
        split=args.split,
        fold=args.fold,
        **options,
    )
