"""How the `keras-tdn` command starts a backend. Imported as a library, the package sets nothing."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

COMMAND = "keras-tdn"
MODULE = "keras_tdn"
# TensorFlow's own setting; whoever sets it wants to read what it lets through.
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NO_LOGS = "3"
# TensorFlow's own setting. It turns oneDNN on by itself only where there is AVX-512; on other
# processors training takes 30 % less time with it.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def running_as_command() -> bool:
    """Whether this process is `keras-tdn ...`, `python -m keras_tdn ...` or a module of ours."""
    option, module = [*sys.orig_argv[1:3], "", ""][:2]
    module_run = option == "-m" and module.split(".")[0] == MODULE
    return module_run or pathlib.Path(sys.argv[0] if sys.argv else "").stem == COMMAND


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keeps a backend's start-up messages off the terminal of the command, and makes it fast.

    TensorFlow writes some of them before it reads any setting that would stop it, so standard
    error is closed meanwhile. Exceptions are reported as ever: Python does so later.
    """
    if running_as_command():
        os.environ.setdefault(ONEDNN, "1")
    if not running_as_command() or LOG_LEVEL in os.environ:
        yield
        return
    os.environ[LOG_LEVEL] = NO_LOGS
    try:
        saved = os.dup(2)
    except OSError:
        # There is no standard error to keep clean.
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
