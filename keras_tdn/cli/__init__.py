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

# What adds a command's options to its parser, and the default `run`, from its arguments to the exit
# status; and the line on the command in the list of all. The docstring is what its own help says.
COMMANDS = {
    first_steps.add_demo: "make data, train, measure, export and label, in under three minutes",
    videos.add_predict: "name what happens in a video",
    videos.add_watch: "tell what happens when, in a long video or in front of a camera",
    first_steps.add_web: "try a model on a page in the browser",
    train.add_train: "train a model on your own videos",
    evaluate.add_evaluate: "measure a model on a list of videos",
    evaluate.add_ensemble: "join the scores of several evaluations",
    evaluate.add_compare: "tell whether two models differ beyond chance",
    videos.add_explain: "show what a model sees in a video",
    models.add_profile: "measure what a model costs to run",
    label.add_label: "label all videos of a list or a folder",
    models.add_export: "write a model for TensorFlow Serving, ONNX Runtime, OpenVINO or LiteRT",
    presets.add_convert: "convert a PyTorch checkpoint of the paper's authors",
    presets.add_presets: "list, show, verify and publish pretrained weights",
    lists.add_check: "find the bad videos of a list",
    lists.add_browse: "look at clips as the model will see them",
    lists.add_pack: "pack videos into TFRecords that are read fast",
    first_steps.add_doctor: "check that this installation works",
}

EXIT_INTERRUPTED = 130
# Errors that the user can fix; anything else is a fault of the package and keeps its traceback.
ERRORS = (ValueError, OSError, ImportError, MemoryError)


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
    lines = [f"{PROGRAM}: error: {first}", *(f"  {line}" for line in more)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=PROGRAM, description="Temporal Difference Networks for video action recognition."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_completion_option(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_options, what in COMMANDS.items():
        name = add_options.__name__.removeprefix("add_")
        add_options(subparsers.add_parser(name, help=what, description=add_options.__doc__))
    return parser


# === Standard streams that are closed, full, or without a reader ===


def _prepare_streams() -> None:
    """Keeps whatever else is opened out of the streams; an `OSError` if the output is closed."""
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
