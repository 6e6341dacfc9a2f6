"""How the `keras-tdn` command starts a backend. Imported as a library, the package sets nothing."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import sys
from collections.abc import Iterator

from keras_tdn.imports import around_import

# TensorFlow's own setting; whoever sets another wants to read what it lets through.
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NO_LOGS = "3"
# TensorFlow turns oneDNN on by itself only where there is AVX-512; on other processors training
# takes 30 % less time with it.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

# What TensorFlow writes while it is imported, by both of its loggers; the last continues a message.
_START_UP_LINE = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: "
)


def start_backends_quietly() -> None:
    """Keeps TensorFlow's start-up messages off the terminal, and makes it fast; in children too."""
    # Only the process of the command calls it, before anything imports TensorFlow.
    os.environ.setdefault(ONEDNN, "1")
    os.environ.setdefault(LOG_LEVEL, NO_LOGS)
    be_quiet_if_asked()


def be_quiet_if_asked() -> None:
    """Keeps TensorFlow's start-up messages off the terminal where its logs are switched off."""
    if os.environ.get(LOG_LEVEL) == NO_LOGS:
        around_import("tensorflow", without_start_up_lines)


@contextlib.contextmanager
def without_start_up_lines() -> Iterator[None]:
    """Leaves TensorFlow's start-up messages out of what is written to standard error.

    TensorFlow writes some of them before it reads any setting that would stop it. Everything else
    that is written meanwhile appears at the end; all of it appears if there is an exception, and a
    crash says where it was.
    """
    try:
        saved = os.dup(2)
    except OSError:
        # There is no standard error to keep clean.
        yield
        return
    import tempfile

    with tempfile.TemporaryFile() as written:
        traced = faulthandler.is_enabled()
        faulthandler.enable(saved)
        os.dup2(written.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(saved, 2)
            faulthandler.disable()
            if traced and sys.stderr is not None:
                faulthandler.enable()
            written.seek(0)
            # Whoever reads standard error may have left.
            with contextlib.suppress(OSError):
                for line in written:
                    if failed or not _START_UP_LINE.match(line):
                        os.write(saved, line)
            os.close(saved)
