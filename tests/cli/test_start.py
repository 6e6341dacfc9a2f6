"""The command answers at once: nothing heavy is imported before it knows what to do."""

import os
import subprocess
import sys

import pytest

from keras_tdn import cli

COMMANDS = [command.__name__.removeprefix("add_") for command in cli.COMMANDS]
# What the standard library has, this package and what imports it; some environments import the last
# two at any start.
EXPECTED = {
    *(*sys.stdlib_module_names, "__main__", "keras_tdn", "lazy_loader"),
    *("_distutils_hack", "sitecustomize"),
}
SECONDS = 0.4

# Parses as the command does, and says what has been imported by the time it would exit.
CODE = """
import sys
from keras_tdn.cli import main
try:
    main()
except SystemExit as stopped:
    print(stopped.code)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def start(*arguments):
    return subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-2:]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--wrong"], 2),
        (["predict"], 2),
        (["mistyped"], 2),
        ([], 2),
    ],
)
def test_nothing_heavy_is_imported(arguments, status):
    code, modules = start(*arguments)
    assert int(code) == status
    assert not set(modules.split()) - EXPECTED


def test_help_of_no_command_imports_anything_heavy():
    """All in one process: what one imports is there for the next."""
    code = f"""
import contextlib, io, sys
from keras_tdn.cli import main
for command in {COMMANDS}:
    for arguments in ([command, "--help"], [command, "--no-such-option"]):
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            with contextlib.redirect_stderr(io.StringIO()):
                main(arguments)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not set(result.stdout.split()) - EXPECTED


def processor_seconds(*arguments):
    before = os.times()
    subprocess.run([sys.executable, "-m", "keras_tdn", *arguments], capture_output=True)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["train", "--wrong"]])
def test_an_answer_takes_little_time(arguments):
    """Of the processor: a clock would also measure whatever else the machine is doing."""
    assert sorted(processor_seconds(*arguments) for _ in range(5))[2] <= SECONDS
