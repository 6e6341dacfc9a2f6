"""Mistakes in arguments and broken streams end in one line and exit status 2."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_tdn
from keras_tdn import cli
from keras_tdn.cli import presets

TRAIN = ["train", "--train-list", "list.txt", "--output", "out"]


def line_of(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    start, _, message = line.partition("keras-tdn: error: ")
    assert start == ""
    return message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "there is no command 'trian'; did you mean 'train'? See keras-tdn --help."),
        (["pridict", "video.mp4"], "there is no command 'pridict'; did you mean 'predict'?"),
        (["xyzzy"], "there is no command 'xyzzy'. There are demo, predict, watch, "),
        (["presets", "lst"], "no command 'lst'; did you mean 'list'? See keras-tdn presets --help"),
        ([], "required: COMMAND. See keras-tdn --help."),
        (["predict"], "required: VIDEO, --weights. See keras-tdn predict --help."),
        (["--verson"], "there is no option '--verson'; did you mean '--version'?"),
        ([*TRAIN, "--bach-size", "3"], "no option '--bach-size'; did you mean '--batch-size'?"),
        ([*TRAIN, "--qqq=3"], "there is no option '--qqq'. See keras-tdn train --help."),
        # The one that is missing is there, and misspelt.
        (["train", "--train-list", "a", "--outptu", "b"], "'--outptu'; did you mean '--output'?"),
        (["predict", "a", "--weights", "m", "b"], "there is one argument too many: 'b'. See"),
        ([*TRAIN, "--epochs", "ten"], "argument --epochs: invalid int value: 'ten'. See"),
        ([*TRAIN, "--recipe", "motoin"], "argument --recipe: invalid choice: 'motoin'"),
        (["evaluate", "l", "--weights", "m", "--output", ""], "argument --output: it is empty."),
        (["check", ""], "argument LIST: it is empty."),
        (["pack", "list.txt"], "required: OUT (or --output OUT). See keras-tdn pack --help."),
        (["pack", "list.txt", "--outptu", "o"], "'--outptu'; did you mean '--output'?"),
        (["pack", "a", "b", "--output", "c"], "there are two outputs: 'b' and --output 'c'."),
        (["convert", "a", "--size", "64", "b", "c"], "there is one argument too many: 'c'."),
        ([*TRAIN, "--epochs"], "argument --epochs: expected one argument. See"),
        (["evaluate", "--weights", "a", "--resume", "--overwrite"], "not allowed with"),
    ],
)
def test_one_line_says_what_is_wrong_and_what_was_meant(capsys, arguments, message):
    assert message in line_of(capsys, arguments)


def test_what_comes_behind_two_dashes_is_no_option(capsys):
    assert "required: --weights" in line_of(capsys, ["predict", "a", "--", "--top", "--x"])


@pytest.mark.parametrize("limit", ["nan", "inf", "0", "-1"])
def test_limits_that_are_none(capsys, tmp_path, limit):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "list.txt").write_text("a.mp4 0\n")
    arguments = ["check", str(tmp_path / "list.txt"), "--time-limit", limit]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("keras-tdn: error: `time_limit` is in seconds, above")


# === Streams, of processes as a shell starts them ===


def ended(redirection, *arguments, **variables):
    """Exit status and standard error of the command, with its streams redirected."""
    root = str(Path(keras_tdn.__file__).parents[1])
    result = subprocess.run(
        ["sh", "-c", f'exec "$0" -m keras_tdn "$@" {redirection}', sys.executable, *arguments],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root, **variables},
    )  # fmt: skip
    return result.returncode, result.stderr


posix = pytest.mark.skipif(os.name == "nt", reason="shells of Windows close no streams")
CLOSED = (
    "keras-tdn: error: Standard output is closed. Redirect it to a file, or to the null device.\n"
)
FULL = "keras-tdn: error: [Errno 28] No space left on device\n"


@posix
@pytest.mark.parametrize(
    ("redirection", "arguments", "expected"),
    [
        (">&-", ["--help"], (2, CLOSED)),
        (">&-", ["check", "nowhere.txt"], (2, CLOSED)),
        ("2>&-", ["--version"], (0, "")),
        ("2>&-", ["trian"], (2, "")),
        ("2>&-", ["check", "nowhere.txt"], (2, "")),
        (">&- 2>&-", ["--help"], (2, "")),
        ("<&-", ["--version"], (0, "")),
    ],
)
def test_closed_streams(redirection, arguments, expected):
    assert ended(redirection, *arguments) == expected


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk(unbuffered):
    for arguments in (["--help"], ["--version"]):
        assert ended("> /dev/full", *arguments, PYTHONUNBUFFERED=unbuffered) == (2, FULL)
    assert ended("2> /dev/full", "trian", PYTHONUNBUFFERED=unbuffered) == (2, "")


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_left(unbuffered):
    # It is gone before the first byte is written.
    status, error = ended("| true", "--help", PYTHONUNBUFFERED=unbuffered)
    assert (status, error) == (0, "")


@posix
def test_files_do_not_get_the_place_of_closed_streams(tmp_path):
    file = tmp_path / "file"
    code = (
        "import os, sys\n"
        "from keras_tdn.cli import _prepare_streams as prepare_streams\n"
        "prepare_streams()\n"
        f"file = os.open({str(file)!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.write(file, b'%d' % file)\n"
        "os.write(2, b'what TensorFlow logs')\n"
        "sys.stderr.write('said')\n"
    )
    subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- 2>&-', sys.executable, code], check=True,
        env={**os.environ, "PYTHONPATH": str(Path(keras_tdn.__file__).parents[1])},
    )  # fmt: skip
    assert int(file.read_text()) > 2


def test_too_little_memory(capsys, monkeypatch):
    def run(args):
        raise MemoryError("Unable to allocate 368. TiB for an array")

    monkeypatch.setattr(presets, "_run_list", run)
    assert cli.main(["presets", "list"]) == 2
    assert capsys.readouterr().err == (
        "keras-tdn: error: There is not enough memory. Unable to allocate 368. TiB for an array\n"
    )


def test_an_error_after_output_keeps_both(capsys, monkeypatch):
    def run(args):
        sys.stdout.write("so far\n")
        raise ValueError("and no further\nfor a reason")

    monkeypatch.setattr(presets, "_run_list", run)
    assert cli.main(["presets", "list"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "so far\n"
    assert captured.err == "keras-tdn: error: and no further\n  for a reason\n"


def test_a_broken_pipe_that_is_not_the_output_is_told(capsys, monkeypatch):
    def run(args):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(presets, "_run_list", run)
    assert cli.main(["presets", "list"]) == 2
    assert "Broken pipe" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_dropped(monkeypatch, capsys):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main(["presets", "list"]) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_names_that_the_terminal_cannot_show(tmp_path):
    """A name that is not UTF-8 comes out escaped, instead of ending the run."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("the file system takes UTF-8 names alone")
    (Path(os.fsdecode(folder)) / "a.mp4").touch()
    status, error = ended("", "check", os.fsdecode(folder))
    assert "Traceback" not in error
    assert status in (1, 2)
