"""Python code in a process of its own, without the seconds that Keras takes to load.

The process of `forked_runs` forks a child for each. Its environment, arguments, output and end are
the child's own.
"""

import atexit
import functools
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

TIMEOUT = 300


def run_python(code, *arguments, environment=None, timeout=TIMEOUT):
    """Runs code as `python -c` does, and returns what `subprocess.run` does."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        ended = _forks().run(
            __file__,
            code=code,
            arguments=list(map(str, arguments)),
            environment=dict(os.environ if environment is None else environment),
            outputs=outputs,
            timeout=timeout,
        )
        texts = [Path(path).read_text() for path in outputs]
    return subprocess.CompletedProcess(code, ended.status, *texts)


@functools.cache
def _forks():
    from forked_runs import ForkedRuns

    forks = ForkedRuns()
    atexit.register(forks.close)
    return forks


def child(code, arguments, environment, outputs, timeout):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(timeout)
    for descriptor, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.startswith("huggingface_hub")]:
        # It reads its environment once, when it is imported.
        del sys.modules[name]
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if end.code:
            raise
    except BaseException:
        traceback.print_exc()
        raise
