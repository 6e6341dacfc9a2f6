"""Processes run no code of the current folder, find what this one finds, and end with it."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import child_serving
import pytest
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.processes import ChildProcess, exit_reason, run_command

ROOT = Path(keras_tdn.__file__).parent
PLANTED = ("json", "numpy", "keras_tdn", "pickle", "av", "argparse")


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A current folder whose modules leave a file behind when they are run."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in PLANTED:
        code = f"open({str(tmp_path / 'run')!r}, 'a').write({name!r})\nraise SystemExit(77)\n"
        (folder / f"{name}.py").write_text(code)
    monkeypatch.chdir(folder)
    yield folder
    assert not (tmp_path / "run").exists(), (tmp_path / "run").read_text()


def environment(**variables):
    """Where a process of the tests finds the package, although it does not look here."""
    return {**os.environ, "PYTHONPATH": str(ROOT.parent), **variables}


# As the command is installed: a file in a folder of programs.
SCRIPT = "import sys\nfrom keras_tdn.cli import main\nsys.exit(main())\n"


def test_the_command_runs_nothing_of_the_current_folder(planted, tmp_path):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "keras-tdn"
    script.write_text(SCRIPT)
    (planted / "good.mp4").write_bytes(encode_video(12))
    (planted / "list.txt").write_text("good.mp4 0\n")
    result = subprocess.run(
        [sys.executable, str(script), "check", "list.txt", "--quiet"],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert result.stdout.startswith("files     1, of which 0 bad"), result.stderr
    assert (result.returncode, result.stderr) == (0, "")


def test_a_command_that_is_run_from_here_runs_nothing_of_the_current_folder(planted):
    result = run_command(["--version"])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"keras-tdn {keras_tdn.__version__}\n"


def test_as_a_module_python_itself_looks_in_the_current_folder_and_we_do_not(tmp_path):
    """What Python has imported by then is out of reach; numpy, keras and json are not."""
    for name in ("json", "numpy", "av", "argparse", "keras"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run')\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "list.txt").write_text("empty.mp4 0\n")
    result = subprocess.run(
        [sys.executable, "-m", "keras_tdn", "check", "list.txt", "--quiet"],
        capture_output=True, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, "")
    assert "the file is empty" in result.stdout


def asked(process, question):
    process.connection.send(question)
    assert process.connection.poll(60)
    return process.connection.recv()


def test_a_child_finds_what_is_found_here_and_nothing_in_the_current_folder(
    planted, tmp_path, monkeypatch
):
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "only_here.py").write_text("VALUE = 7\n")
    monkeypatch.syspath_prepend(tmp_path / "added")
    # What `python -c`, `python -m` and notebooks have there.
    monkeypatch.setattr(sys, "path", ["", str(planted), *sys.path])
    process = ChildProcess(child_serving.evaluate, 5)
    assert asked(process, "argument") == 5
    assert asked(process, "__import__('only_here').VALUE") == 7
    assert asked(process, "__import__('keras_tdn').__file__") == keras_tdn.__file__
    assert asked(process, "sys.flags.safe_path")
    assert str(planted) not in asked(process, "sys.path")
    # None of these is imported to start a process.
    assert not set(asked(process, "list(sys.modules)")) & {"numpy", "keras", "tensorflow", "av"}
    assert asked(process, "__import__('json').__name__") == "json"
    assert process.exitcode is None
    process.connection.close()
    assert process.join(60) == 0


def test_python_path_is_honoured(planted, tmp_path, monkeypatch):
    (tmp_path / "named.py").write_text("VALUE = 8\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ChildProcess(child_serving.evaluate, None)
    assert asked(process, "__import__('named').VALUE") == 8
    process.end()


def test_the_package_is_the_one_that_is_running_here(tmp_path, monkeypatch):
    (tmp_path / "keras_tdn").mkdir()
    (tmp_path / "keras_tdn" / "__init__.py").write_text("raise SystemExit(77)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ChildProcess(child_serving.evaluate, None)
    assert asked(process, "__import__('keras_tdn').__file__") == keras_tdn.__file__
    process.end()


def test_how_it_ends():
    process = ChildProcess(child_serving.evaluate, None, silent=True)
    process.connection.send("os._exit(11)")
    with pytest.raises(EOFError):
        process.connection.recv()
    assert process.end(60) == 11
    process = ChildProcess(child_serving.evaluate, None)
    process.connection.send("time.sleep(600)")
    started = time.monotonic()
    assert process.join(0.05) is None
    assert process.end() == -9
    assert time.monotonic() - started < 60
    assert (exit_reason(11), exit_reason(-9)) == ("exit status 11", "signal SIGKILL")


def test_it_ends_with_what_started_it(tmp_path):
    """One that hangs, too, when its parent ends without a word to it."""
    code = (
        "import sys, child_serving; from keras_tdn.processes import ChildProcess\n"
        "process = ChildProcess(child_serving.evaluate, None)\n"
        "process.connection.send('os.getpid()'); print(process.connection.recv())\n"
        "process.connection.send('time.sleep(600)')\n"
    )
    path = os.pathsep.join([str(Path(child_serving.__file__).parent), str(ROOT.parent)])
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=environment(PYTHONPATH=path),
    )  # fmt: skip
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int(result.stdout), 0)


def test_ctrl_c_is_the_parents_business():
    process = ChildProcess(child_serving.evaluate, None)
    assert asked(process, "signal.getsignal(signal.SIGINT) == signal.SIG_IGN")
    process.end()


def test_no_other_module_starts_processes():
    """Nor shuts standard error, selects or forks: what differs by system is in one place."""
    for file in ROOT.rglob("*.py"):
        if file == ROOT / "processes.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            else:
                continue
            starting = {"subprocess", "multiprocessing", "multiprocessing.spawn", "select"}
            assert not names & starting, file
            assert "concurrent.futures.ProcessPoolExecutor" not in names, file
