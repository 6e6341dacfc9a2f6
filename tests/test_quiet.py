"""The command keeps TensorFlow's start-up messages to itself, and loses nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_tdn import quiet

START_UP_LINES = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796062874.494761   22313 cudart_stub.cc:31] Could not find cuda drivers.
E0000 00:00:1796062865.214398   22313 cuda_fft.cc:477] Unable to register cuFFT factory.
2024-05-01 10:20:30.123456: I tensorflow/core/util/port.cc:113] oneDNN custom operations are on.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
"""


def standard_error(folder, tensorflow, *, level=None, start="quiet.start_backends_quietly()"):
    """What a process writes that starts as the command does and imports this as TensorFlow."""
    (folder / "tensorflow.py").write_text(tensorflow)
    code = (
        f"import os, sys\nsys.path.insert(0, {str(folder)!r})\n"
        f"from keras_tdn import quiet\n{start}\n"
        "import tensorflow\nsys.stderr.write('said')\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != quiet.LOG_LEVEL}
    environment["PYTHONPATH"] = str(Path(quiet.__file__).parents[1])
    if level is not None:
        environment[quiet.LOG_LEVEL] = level
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    return result.stderr


def writing(text, then=""):
    # Past Python, as C++ does.
    return f"import os\nos.write(2, {text.encode()!r})\n{then}"


def test_start_up_lines_are_left_out_and_others_stay(tmp_path):
    text = START_UP_LINES + "A module that was compiled using NumPy 1.x cannot be run.\n"
    assert standard_error(tmp_path, writing(text)) == (
        "A module that was compiled using NumPy 1.x cannot be run.\nsaid"
    )


def test_whoever_sets_the_log_level_reads_all(tmp_path):
    assert standard_error(tmp_path, writing(START_UP_LINES), level="0") == START_UP_LINES + "said"


def test_library_silences_nothing(tmp_path):
    text = standard_error(tmp_path, writing(START_UP_LINES), start="import keras_tdn")
    assert text == START_UP_LINES + "said"


def test_nothing_is_lost_when_the_import_fails(tmp_path):
    text = standard_error(tmp_path, writing(START_UP_LINES, "raise ImportError('no such symbol')"))
    assert text.startswith(START_UP_LINES + "Traceback")
    assert text.endswith("ImportError: no such symbol\n")


def test_a_crash_while_importing_says_where(tmp_path):
    text = standard_error(tmp_path, writing(START_UP_LINES, "os.abort()"))
    assert text.startswith("Fatal Python error: Aborted")
    assert "tensorflow.py" in text


def test_the_original_loader_is_put_back(tmp_path):
    code = (
        "import sys\nsys.stderr.write(type(__spec__.loader).__name__ + type(__loader__).__name__)"
    )
    assert standard_error(tmp_path, code) == "SourceFileLoader" * 2 + "said"


@pytest.mark.parametrize("given", [None, "0"])
def test_the_command_turns_onednn_on(monkeypatch, given):
    # Set first, so that monkeypatch knows to remove what the start sets: other tests' processes
    # would inherit it, and round otherwise than their parent.
    monkeypatch.setenv(quiet.LOG_LEVEL, "3")
    monkeypatch.setenv(quiet.ONEDNN, given or "")
    if given is None:
        monkeypatch.delenv(quiet.ONEDNN)
    quiet.start_backends_quietly()
    assert os.environ[quiet.ONEDNN] == (given or "1")
