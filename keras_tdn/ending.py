"""How the process of a command ends when it is told to: soon, whatever its threads are at.

Python runs signal handlers in the main thread alone, between two of its own instructions, and waits
for threads at the end: a reader that is blocked would hold up both.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from keras_tdn.processes import kill_children

# Within which files are closed and children ended, if nothing is blocked.
PATIENCE_SECONDS = 1.5
LOOK_SECONDS = 0.05
# What a shell makes of a signal's number.
SIGNALLED = 128
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_at_work: list[Callable[[], bool]] = []


def run_until_told(run: Callable[[], int]) -> int:
    """Runs what a process is for; SIGTERM interrupts it as Ctrl-C does, and both end the process.

    Use it around a command that has the process for itself. What `KeyboardInterrupt` does not end
    in a second and a half is ended without it, threads and children too. Only the main thread can
    take signals; elsewhere nothing is changed.

    Args:
        run: Gives an exit status.

    Returns:
        That status, unless the process was told to end: then this does not return.
    """
    if threading.current_thread() is not threading.main_thread():
        return run()
    told: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        told.append(number)
        raise KeyboardInterrupt

    # Written to as soon as a signal comes, also while the main thread is in foreign code.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    threading.Thread(target=_watch, args=(ours,), name="keras_tdn end", daemon=True).start()
    pipe = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = [signal.signal(number, interrupt) for number in SIGNALS]
    try:
        status = run()
    except KeyboardInterrupt:
        told = told or [signal.SIGINT]
        status = SIGNALLED + told[0]
    finally:
        if not told:
            for number, handler in zip(SIGNALS, handlers, strict=True):
                signal.signal(number, handler)
            signal.set_wakeup_fd(pipe)
            # Ends the thread.
            theirs.close()
    if told:
        for stream in (sys.stdout, sys.stderr):
            # May be closed, or nobody reads it any more.
            with contextlib.suppress(Exception):
                stream.flush()
        _end_process(status)
    return status


@contextlib.contextmanager
def finishing(is_at_work: Callable[[], bool]) -> Iterator[None]:
    """Within the block, a process that is told to end goes on while a function says so.

    Use it where a piece of work takes its time and then heeds the signal, as a training does that
    saves after its step. A second signal does not wait.

    Args:
        is_at_work: Called from another thread.
    """
    _at_work.append(is_at_work)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _at_work.remove(is_at_work)


def _watch(signals: socket.socket) -> None:
    numbers: list[int] = []
    deadline = 0.0
    while True:
        signals.settimeout(LOOK_SECONDS if numbers else None)
        with contextlib.suppress(TimeoutError):
            received = signals.recv(1)
            if not received:
                return
            if received[0] in SIGNALS:
                numbers.append(received[0])
                deadline = time.monotonic() + PATIENCE_SECONDS
        if not numbers:
            continue
        if len(numbers) == 1 and any(is_at_work() for is_at_work in list(_at_work)):
            deadline = time.monotonic() + PATIENCE_SECONDS
        if time.monotonic() > deadline:
            _end_process(SIGNALLED + numbers[0])


def _end_process(status: int) -> NoReturn:
    kill_children()
    os._exit(status)
