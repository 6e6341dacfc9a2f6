"""Ends the process of a command soon after a signal, whatever its threads are doing.

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

# Within which files are closed and children ended, if nothing is blocked.
PATIENCE_SECONDS = 1.5
# What a shell makes of a signal's number.
SIGNALLED = 128
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Of no signal.
OVER = b"\0"

_at_work: list[Callable[[], bool]] = []


def run_until_told(run: Callable[[], int]) -> int:
    """Runs what a process is for, and returns its exit status.

    SIGTERM interrupts it as Ctrl-C does; both end the process, and this does not return. What
    `KeyboardInterrupt` does not end in a second and a half is ended without it, threads and
    children too. Only the main thread can take signals; elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        return run()
    # Written to as soon as a signal comes, also while the main thread is in foreign code, and
    # whoever handles the signal.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    told: list[int] = []
    is_over = threading.Event()
    seen = ours, told, is_over
    threading.Thread(target=_watch, args=seen, name="keras_tdn end", daemon=True).start()
    pipe = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = [signal.signal(number, _interrupt) for number in SIGNALS]
    try:
        status = run()
    except KeyboardInterrupt:
        status = None
    finally:
        theirs.send(OVER)
        is_over.wait()
        if not told:
            for number, handler in zip(SIGNALS, handlers, strict=True):
                signal.signal(number, handler)
            signal.set_wakeup_fd(pipe)
            theirs.close()
            ours.close()
    if not told and status is not None:
        return status
    for stream in (sys.stdout, sys.stderr):
        # May be closed, or nobody reads it any more.
        with contextlib.suppress(Exception):
            stream.flush()
    ended_by = told[0] if told else signal.SIGINT
    _end_process(SIGNALLED + ended_by if status is None else status)


@contextlib.contextmanager
def finishing(is_at_work: Callable[[], bool]) -> Iterator[None]:
    """Within the block, a process that gets a signal continues while a function says so.

    Use it where a piece of work takes its time and then heeds the signal, as a training does that
    saves after its step. A second signal does not wait. The function is called in another thread.
    """
    _at_work.append(is_at_work)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _at_work.remove(is_at_work)


def _watch(signals: socket.socket, told: list[int], is_over: threading.Event) -> None:
    deadline = 0.0
    while True:
        signals.settimeout(0.05 if told else None)
        with contextlib.suppress(TimeoutError):
            received = signals.recv(1)
            if received == OVER:
                is_over.set()
                if not told:
                    return
            if received[0] in SIGNALS:
                told.append(received[0])
                deadline = time.monotonic() + PATIENCE_SECONDS
        if not told:
            continue
        if len(told) == 1 and any(is_at_work() for is_at_work in list(_at_work)):
            deadline = time.monotonic() + PATIENCE_SECONDS
        if time.monotonic() > deadline:
            _end_process(SIGNALLED + told[0])


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _end_process(status: int) -> NoReturn:
    # Imported by what has any.
    if (processes := sys.modules.get("keras_tdn.processes")) is not None:
        processes.kill_children()
    os._exit(status)
