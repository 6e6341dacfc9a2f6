"""Standard streams of the command's process: closed, full, and with a reader that has left."""

from __future__ import annotations

import contextlib
import os
import stat
import sys


def prepare_streams() -> None:
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


def reader_has_left(error: Exception) -> bool:
    """Whether an error is that of a pipe whose other end is closed, as `head` does."""
    if not isinstance(error, BrokenPipeError):
        return False
    with contextlib.suppress(OSError, ValueError):
        mode = os.fstat(sys.stdout.fileno()).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def drop_what_cannot_be_written() -> None:
    """Writes what the streams still hold, or drops it: Python would complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
