"""A process that looks at files for this one, and may crash or hang."""

from __future__ import annotations

from typing import Any

from keras_tdn.data.checking_file import serve
from keras_tdn.processes import ChildProcess, exit_reason

# Starting up takes a second or two; on a busy machine, or from a network disk, much longer.
START_SECONDS = 120
# For one that is ending by itself, as all do that crash.
GRACE_SECONDS = 1.0


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
        self._process: ChildProcess | None = None

    def ask(self, path: str) -> dict[str, Any]:
        """What `checking_file.look_at` answers, or the reason why it does not."""
        process = self._process = self._process or _start()
        try:
            process.connection.send((path, self._full))
            if process.connection.poll(self._time_limit):
                return process.connection.recv()
        except (EOFError, OSError):
            code = process.end(GRACE_SECONDS)
            reason = f"Reading {path!r} crashes the decoder ({exit_reason(code)})."
        else:
            process.end()
            reason = (
                f"Reading {path!r} takes longer than {self._time_limit:g} seconds, or never ends."
            )
        self._process = None
        return {"reason": reason}

    def stop(self) -> None:
        """Ends the process, wherever it is."""
        if self._process is not None:
            self._process.end()
            self._process = None


def _start() -> ChildProcess:
    # FFmpeg writes to standard error about what is bad, which the answers say.
    process = ChildProcess(serve, silent=True)
    # What goes wrong before the first file is not the file's fault.
    try:
        if process.connection.poll(START_SECONDS):
            process.connection.recv()
            return process
    except (EOFError, OSError):
        pass
    code = process.end(GRACE_SECONDS)
    raise OSError(f"A process that checks files does not start ({exit_reason(code)}).")
