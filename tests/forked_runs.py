"""Runs in processes of their own, without the seconds that Keras and TensorFlow take to load.

A process that has imported everything, and run nothing, forks a child for each run it is asked for;
all tests of a session share it, as the fixture `forked_runs`. A run is the function `child` of a
script: it takes what `run` is given, and what it returns comes back, all of it as JSON. For kills,
the child says when: `die_after`, `os.kill`, or from outside with `kill_after`.

    ended = forked_runs.run(SCRIPT, kill_after=0.5, path="video.mp4")
    assert ended.status == -signal.SIGKILL
"""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
# Whatever takes time to import; keras_tdn itself may import its parts when they are used.
IMPORTED = (
    "tensorflow",
    "keras",
    *(f"keras_tdn.{name}" for name in ("training", "evaluation", "labelling", "watching", "web")),
)

# How often a test kills its runs: once by default, and `KERAS_TDN_KILLS` times where tests may
# take long.
MANY_KILLS = pytest.param(int(os.environ.get("KERAS_TDN_KILLS", "10")), marks=pytest.mark.slow)
once_and_often = pytest.mark.parametrize("num_kills", [1, MANY_KILLS])


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended.

    Args:
        status: 0 if well, 1 after an error, and the negative number of the signal that ended it.
        value: What `child` returned.
        output: Its standard output and standard error.
        seconds: How long it took.
    """

    status: int
    value: Any
    output: str
    seconds: float


class ForkedRuns:
    """The process that forks runs, started with the first of them."""

    def __init__(self):
        self._process = None

    def run(self, script, *, kill_after=None, **request):
        """Runs `child(**request)` of a script to its end.

        Args:
            script: Path of the file.
            kill_after: Seconds after which the run is killed, with all processes of its group.
        """
        if self._process is None:
            self._start()
        line = {"script": str(script), "kill_after": kill_after, "request": request}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks runs has ended"
        return Ended(**json.loads(answer))

    def close(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait(timeout=120)
            self._process.stdout.close()

    def _start(self):
        path = os.pathsep.join([str(TESTS.parent), str(TESTS), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Other backends start threads when they are imported, which a fork would lose.
            env=os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"},
            text=True,
        )


def die_after(seconds):
    """The system ends the process then, whatever it does: nothing handles this signal.

    A kill from outside would come late on a busy machine.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _serve():
    for name in IMPORTED:
        importlib.import_module(name)

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(dataclasses.asdict(_run(**json.loads(line)))) + "\n")
        answers.flush()


def _run(script, kill_after, request):
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as value:
        process = os.fork()
        if process == 0:
            _run_child(script, request, output.fileno(), value)
        if kill_after is not None:
            time.sleep(kill_after)
            # Before it has its own group there is only itself.
            for kill in (os.killpg, os.kill):
                try:
                    kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        output.seek(0)
        value.seek(0)
        return Ended(
            status=status,
            value=json.loads(value.read() or "null") if status == 0 else None,
            output=output.read(),
            seconds=time.monotonic() - started,
        )


def _run_child(script, request, output, value):
    status = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        spec = importlib.util.spec_from_file_location(Path(script).stem, script)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        json.dump(module.child(**request), value)
        value.flush()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
