"""The command keeps the backend's start-up messages to itself; the library does not."""

import os
import subprocess
import sys

import pytest

from keras_tdn import quiet


def standard_error(argv, level=None):
    """What a process writes that makes noise while starting, as `argv` would have started it."""
    code = (
        f"import sys, runpy; sys.orig_argv = {argv!r}; sys.argv = sys.orig_argv[1:]\n"
        f"quiet = runpy.run_path({quiet.__file__!r})\n"
        "import os\n"
        "with quiet['quiet_start']():\n"
        "    os.write(2, b'noise ')\n"
        "sys.stderr.write('said')\n"
    )
    environment = {key: v for key, v in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stderr


@pytest.mark.parametrize(
    "argv",
    [["python", "-m", "keras_tdn", "predict"], ["python", "/usr/bin/keras-tdn", "predict"]],
)
def test_command_starts_quietly(argv):
    assert standard_error(argv) == "said"
    assert standard_error(argv, level="0") == "noise said"


@pytest.mark.parametrize(
    "argv", [["python", ""], ["python", "train.py"], ["python", "-m", "pytest"]]
)
def test_library_silences_nothing(argv):
    assert standard_error(argv) == "noise said"


@pytest.mark.parametrize(
    ("argv", "given", "expected"),
    [
        (["keras-tdn", "predict"], None, "1"),
        (["keras-tdn", "predict"], "0", "0"),
        (["train.py"], None, None),
    ],
)
def test_the_command_turns_onednn_on(monkeypatch, argv, given, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", ["python", *argv])
    monkeypatch.setenv(quiet.LOG_LEVEL, "3")
    # Set first, so that monkeypatch knows to remove what the start sets: other tests' processes
    # would inherit it, and round otherwise than their parent.
    monkeypatch.setenv(quiet.ONEDNN, given or "")
    if given is None:
        monkeypatch.delenv(quiet.ONEDNN)
    with quiet.quiet_start():
        assert os.environ.get(quiet.ONEDNN) == expected


def test_errors_while_starting_are_raised():
    with pytest.raises(ZeroDivisionError), quiet.quiet_start():
        _ = 1 / 0


def test_help_is_all_that_help_prints():
    command = [sys.executable, "-m", "keras_tdn", "--help"]
    environment = {key: v for key, v in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert result.stdout.startswith("usage: keras-tdn")
    assert result.stderr == ""
