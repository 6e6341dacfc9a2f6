"""Processes of this package, and the one place where they are started.

A process imports nothing from the current folder, or a `json.py` beside the videos would be run.
`PYTHONPATH` is honoured.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from multiprocessing import connection
from pathlib import Path
from typing import Any

from keras_tdn.quiet import be_quiet_if_asked

# Imports this package from where it was imported here, wherever else there is one of the name.
_IMPORT = """\
import importlib.util, sys
sys.path += [path for path in {paths!r} if path not in sys.path]
spec = importlib.util.spec_from_file_location("keras_tdn", {file!r})
sys.modules["keras_tdn"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
"""
_SERVE = "import keras_tdn.processes\nkeras_tdn.processes._serve({handle})\n"
_COMMAND = "import keras_tdn.cli\nsys.exit(keras_tdn.cli.main())\n"

# Where TensorFlow is imported, it imports Keras, which would import its backend.
_ON_TENSORFLOW = {"KERAS_BACKEND": "tensorflow"}
_running: weakref.WeakSet[ChildProcess] = weakref.WeakSet()


class ChildProcess:
    """A process that answers over its `connection`, and may crash or hang at what it is asked.

    Unlike one of `multiprocessing`, it does not import the script that starts it. It ignores
    Ctrl-C, which reaches all processes of a terminal, and is killed when this process ends or
    drops it.

    `serve`, a function of a module, is called in the process with `arguments` and its end of the
    connection; the process ends when it returns. `silent` drops what libraries write to standard
    error. `environment` has the variables that differ; by default, Keras runs on TensorFlow.
    """

    def __init__(
        self,
        serve: Callable[..., None],
        *arguments: Any,
        silent: bool = False,
        environment: Mapping[str, str] = _ON_TENSORFLOW,
    ) -> None:
        self.connection, theirs = connection.Pipe()
        # Only with the process's end in the process alone does its death end the connection.
        with theirs:
            self._process = subprocess.Popen(
                [*_python(), _import_code() + _SERVE.format(handle=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                # What libraries print must not get among what this process writes.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if silent else None,
                env={**os.environ, **environment},
                **_inheriting(theirs.fileno()),
            )
        weakref.finalize(self, _end, self._process)
        _running.add(self)
        # The first answer shows whether it was there to read them.
        with contextlib.suppress(OSError):
            self.connection.send((serve, arguments))

    @property
    def exitcode(self) -> int | None:
        """Exit status, the negative number of the signal that ended it, or `None` if it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Ends the process, whatever it does, and does not wait for its end."""
        self._process.kill()

    def join(self, timeout: float | None = None) -> int | None:
        """Waits for the process to end, `timeout` seconds at most, and returns its `exitcode`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        return self.exitcode

    def end(self, grace: float = 0.0) -> int | None:
        """Ends the connection and the process, and returns its `exitcode`.

        One that has crashed keeps the exit code of the crash if it may end by itself, which it has
        `grace` seconds for.
        """
        self.connection.close()
        if grace:
            self.join(grace)
        self.kill()
        return self.join()


def kill_children() -> None:
    """Ends every `ChildProcess`, for a process that ends without its own last steps."""
    for child in list(_running):
        child.kill()


def run_command(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `keras-tdn` in a process of its own, to its end; `environment` differs there."""
    command = [*_python(), _import_code() + _COMMAND, *arguments]
    return _output_of(command, env={**os.environ, **environment})


def output_of(program: str, *arguments: str, timeout: float) -> str | None:
    """Returns what another program writes, or `None` if it fails or takes longer, in seconds."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        result = _output_of([program, *arguments], timeout=timeout)
        return None if result.returncode else result.stdout
    return None


def _output_of(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    options |= {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, errors="replace", **options)


def cpu_info(names: str) -> str:
    """Returns an entry of Linux's description of the processor, by a regular expression."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
        found = re.search(rf"^(?:{names})\s*:[^\S\n]*(.*)$", text, re.MULTILINE)
        return found[1] if found else ""
    return ""


def exit_reason(code: int | None) -> str:
    """Returns how a process ended, in words, by its `exitcode`."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"


def _python() -> list[str]:
    """Returns the interpreter without the current folder in its path; code to run follows."""
    isolation = "-I" if sys.flags.isolated else "-P"
    return [sys.executable, isolation, "-c"]


def _import_code() -> str:
    # What was added to the path here may hold packages that are needed there. It comes last, so
    # that it hides nothing.
    paths = [str(path) for path in sys.path if path and path != os.getcwd()]
    return _IMPORT.format(paths=paths, file=str(Path(__file__).with_name("__init__.py")))


def _inheriting(handle: int) -> dict[str, Any]:
    """Options of `Popen` for a process that gets this end of a connection."""
    if os.name != "nt":
        return {"pass_fds": (handle,)}
    os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
    startup: Any = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})  # type: ignore[attr-defined]
    return {"startupinfo": startup}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _serve(handle: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_quiet_if_asked()
    kind: Any = getattr(connection, "PipeConnection", connection.Connection)
    with kind(handle) as ours, contextlib.suppress(EOFError):
        serve, arguments = ours.recv()
        serve(*arguments, ours)
