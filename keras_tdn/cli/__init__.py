"""The `keras-tdn` command."""

from __future__ import annotations

import argparse
import contextlib
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
from keras_tdn.cli.parser import EXIT_ERROR, PROGRAM, CommandParser
from keras_tdn.cli.streams import drop_what_cannot_be_written, prepare_streams, reader_has_left
from keras_tdn.ending import run_until_told
from keras_tdn.progress import hidden_progress
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

# Those that show how far they are.
LONG_COMMANDS = ("demo", "watch", "train", "evaluate", "ensemble", "label", "check", "pack")

EXIT_INTERRUPTED = 130
# Errors that the user can fix; anything else is a fault of the package and keeps its traceback.
ERRORS = (ValueError, OSError, ImportError, MemoryError)
INDENT = "  "


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        argv: Arguments without the program's name. `None` takes those of the process.

    Returns:
        Exit status: 0, or 2 after an error that the user can fix, or 130 after Ctrl-C and 143
        after SIGTERM.
    """
    try:
        if argv is None:
            # Before anything opens a file.
            prepare_streams()
            start_backends_quietly()
        try:
            args = _parser().parse_args(argv)
        except SystemExit:
            # After a help text.
            sys.stdout.flush()
            raise
    except ERRORS as error:
        return _report(error)
    if argv is None:
        return run_until_told(lambda: _run(args))
    try:
        return _run(args)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    try:
        with hidden_progress() if getattr(args, "quiet", False) else contextlib.nullcontext():
            status = args.run(args)
        sys.stdout.flush()
        return status
    except ERRORS as error:
        return _report(error)


def _report(error: Exception) -> int:
    if not reader_has_left(error):
        with contextlib.suppress(OSError):
            sys.stderr.write(_error_text(error))
    drop_what_cannot_be_written()
    return EXIT_ERROR


def _error_text(error: Exception) -> str:
    """What is wrong. Further lines, such as commands to run, keep to lines of their own."""
    text = f"There is not enough memory. {error}" if isinstance(error, MemoryError) else str(error)
    first, *more = text.strip().splitlines() or [type(error).__name__]
    lines = [f"{PROGRAM}: error: {first}", *(f"{INDENT}{line}" for line in more)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=PROGRAM, description="Temporal Difference Networks for video action recognition."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_completion_option(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    for name in set(LONG_COMMANDS) & set(subparsers.choices):
        subparsers.choices[name].add_argument(
            "--quiet", action="store_true", help="do not show how far the run is"
        )
    return parser
