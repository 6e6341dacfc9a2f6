"""A process that looks at files for this one, and may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import IO, Any

MODULE = "keras_tdn.data.checking_file"
# Starting up takes a second or two; on a busy machine, or from a network disk, much longer.
START_SECONDS = 120


class CheckingWorker:
    """Asks a process of its own about one file at a time.

    A file that ends the process, or that takes too long, is bad; the next one gets a new process.

    Args:
        time_limit: Seconds that one file may take.
        full: Whether files are decoded from start to end.
    """

    def __init__(self, time_limit: float, full: bool) -> None:
        self._time_limit = time_limit
        self._full = full
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def ask(self, path: str) -> dict[str, Any]:
        """What `checking_file.look_at` answers, or the reason why it does not."""
        process = self._process or self._start()
        # Escaped, so that any file name is one line of text.
        question = json.dumps([path, self._full]).encode()
        try:
            process.stdin.write(question + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer = self._answers.get(timeout=self._time_limit)
        except OSError:
            # It has ended; Windows does not call that a broken pipe.
            answer = b""
        except queue.Empty:
            self.stop()
            return {
                "reason": f"Reading {path!r} takes longer than {self._time_limit:g} seconds, or "
                "never ends."
            }
        if answer.endswith(b"\n"):
            return json.loads(answer)
        self.stop()
        return {"reason": f"Reading {path!r} crashes the decoder ({_ending(process)})."}

    def stop(self) -> None:
        """Ends the process, wherever it is."""
        if self._process is not None:
            self._process.kill()
            # Closing flushes what an ended process has not read.
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        # Where this package is found here, it must be found there.
        search = [path or os.getcwd() for path in sys.path]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(search),
        }
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._answers = queue.SimpleQueue()
        # Windows can wait for a pipe in no other way.
        threading.Thread(target=_read, args=(process.stdout, self._answers), daemon=True).start()
        # What goes wrong before the first file is not the file's fault.
        try:
            ready = self._answers.get(timeout=START_SECONDS)
        except queue.Empty:
            ready = b""
        if not ready:
            self.stop()
            raise OSError(
                f"A process that checks files does not start: {sys.executable} -m {MODULE} gives "
                f"no answer ({_ending(process)}). Try that command by hand to see why."
            )
        return process


def _read(output: IO[bytes], answers: queue.SimpleQueue[bytes]) -> None:
    """Hands on each line, and an empty one at the end."""
    with output:
        for line in output:
            answers.put(line)
    answers.put(b"")


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"
