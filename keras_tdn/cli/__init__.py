"""The `keras-tdn` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from keras_tdn.cli import (
    browse,
    check,
    compare,
    convert,
    demo,
    doctor,
    ensemble,
    evaluate,
    explain,
    export,
    label,
    pack,
    predict,
    presets,
    profile,
    train,
    watch,
    web,
)
from keras_tdn.cli.completion import add_completion_option
from keras_tdn.ending import run_until_told
from keras_tdn.quiet import start_backends_quietly
from keras_tdn.version import __version__

# Each is a module with `add_parser(subparsers)`, which sets the default `run`, and with
# `run(args) -> int`.
COMMANDS = (
    demo,
    predict,
    watch,
    web,
    train,
    evaluate,
    ensemble,
    compare,
    explain,
    profile,
    label,
    export,
    convert,
    presets,
    check,
    browse,
    pack,
    doctor,
)

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
INDENT = "  "


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        argv: Arguments without the program's name. `None` takes those of the process.

    Returns:
        Exit status: 0, or 2 after an error that is the user's to mend, or 130 after Ctrl-C and 143
        after SIGTERM.
    """
    if argv is None:
        start_backends_quietly()
    args = _parser().parse_args(argv)
    if argv is None:
        return run_until_told(lambda: _run(args))
    try:
        return _run(args)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    try:
        return args.run(args)
    except BrokenPipeError:
        # The reader has left, as `head` does. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(_error_text(error))
        return EXIT_ERROR


def _error_text(error: Exception) -> str:
    """What is wrong. Further lines, such as commands to run, keep to lines of their own."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    lines = [f"keras-tdn: error: {first}", *(f"{INDENT}{line}" for line in more)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-tdn", description="Temporal Difference Networks for video action recognition."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_completion_option(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser
