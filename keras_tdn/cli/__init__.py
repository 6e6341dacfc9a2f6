"""The `keras-tdn` command."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Sequence

from keras_tdn.cli import evaluate, first_steps, label, lists, models, presets, train, videos
from keras_tdn.cli.parser import EXIT_ERROR, PROGRAM, CommandParser, add_completion_option
from keras_tdn.ending import run_until_told
from keras_tdn.progress import hidden_progress
from keras_tdn.quiet import start_backends_quietly
from keras_tdn.version import __version__

# Each adds a command to the parser, with the default `run`: from its arguments to the exit status.
COMMANDS = (
    first_steps.add_demo,
    videos.add_predict,
    videos.add_watch,
    first_steps.add_web,
    train.add_train,
    evaluate.add_evaluate,
    evaluate.add_ensemble,
    evaluate.add_compare,
    videos.add_explain,
    models.add_profile,
    label.add_label,
    models.add_export,
    presets.add_convert,
    presets.add_presets,
    lists.add_check,
    lists.add_browse,
    lists.add_pack,
    first_steps.add_doctor,
)

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
            _prepare_streams()
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
    if not _reader_has_left(error):
        with contextlib.suppress(OSError):
            sys.stderr.write(_error_text(error))
    _drop_what_cannot_be_written()
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
    for add_command in COMMANDS:
        add_command(subparsers)
    return parser


# === Standard streams that are closed, full, or without a reader ===


def _prepare_streams() -> None:
    """Makes the process's streams such that nothing else comes to write into them, or they fail.

    Raises:
        OSError: if standard output is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The next file that is opened would get the number, and what TensorFlow logs.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        raise OSError("Standard output is closed. Redirect it to a file, or to the null device.")
    for stream in (sys.stdout, sys.stderr):
        # File names and labels may have characters that a terminal has not.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _reader_has_left(error: Exception) -> bool:
    """Whether an error is that of a pipe whose other end is closed, as `head` does."""
    if not isinstance(error, BrokenPipeError):
        return False
    with contextlib.suppress(OSError, ValueError):
        mode = os.fstat(sys.stdout.fileno()).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def _drop_what_cannot_be_written() -> None:
    """Writes what the streams still hold, or drops it: Python would complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
