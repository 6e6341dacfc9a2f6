"""`keras-tdn doctor`: whether this installation works, and what to do if it does not."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keras_tdn.cli import arguments


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "doctor",
        help="check that this installation works",
        description="Checks versions, the backend and its devices, video decoders, free space, "
        "cache folders and the connection to the Hugging Face Hub, and says what to do about what "
        "is wrong. The exit status is 1 if something is broken that training and labelling need.",
    )
    arguments.add_json(
        parser, "the same as JSON for a bug report; it has no user names, tokens or home paths"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what was found."""
    from keras_tdn.doctor import as_json, as_text, examine, is_healthy

    findings = examine()
    sys.stdout.write(as_json(findings) if args.json else as_text(findings))
    return 0 if is_healthy(findings) else 1
