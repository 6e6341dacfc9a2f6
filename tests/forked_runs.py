"""Runs in processes of their own, without the seconds that TensorFlow takes to load.

A script that has imported everything, and run nothing, calls `serve`: it forks a child for each run
that it is asked for. Requests and answers are lines of JSON.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


class ForkedRuns:
    """The process that forks runs; a context manager.

    Args:
        script: Path of a script that calls `serve`.
    """

    def __init__(self, script):
        self._script = script

    def __enter__(self):
        path = os.pathsep.join([str(TESTS.parent), str(TESTS), *filter(None, sys.path)])
        self.process = subprocess.Popen(
            [sys.executable, str(self._script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Other backends start threads when they are imported, which a fork would lose.
            env=os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"},
            text=True,
        )
        assert json.loads(self.process.stdout.readline()) == "ready"
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def run(self, **request):
        """How the run ended: 0 if well, else the number of the signal or 1."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def serve(child):
    """Runs `child(request)` in a fork for each request, until there are no more."""
    print(json.dumps("ready"), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(_run(child, json.loads(line))), flush=True)  # noqa: T201


def die_in(seconds):
    """Lets the system end this process then, whatever it does: nothing handles this signal.

    A kill from outside would come late on a busy machine.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _run(child, request):
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.dup2(2, 1)
            child(request)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
