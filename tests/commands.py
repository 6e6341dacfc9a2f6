"""Running `keras-tdn` in tests; `tests/conftest.py` has the fixture `command`."""

import subprocess
import sys
from typing import NamedTuple


class Finished(NamedTuple):
    """The exit status of a command and what it wrote."""

    status: int
    out: str
    err: str


def run_here(capsys, *arguments):
    """Runs `keras-tdn` in this process, which costs nothing to start.

    Use it wherever a process of its own is not what is asserted.
    """
    from keras_tdn.cli import main

    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as ended:
        status = ended.code
    return Finished(status, *capsys.readouterr())


def run_in_fresh_process(*arguments, **options):
    """Runs `python -m keras_tdn`; options are those of `subprocess.run`."""
    result = subprocess.run(
        [sys.executable, "-m", "keras_tdn", *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )
    return Finished(result.returncode, result.stdout, result.stderr)
