"""Processes of this package, and the one place where they are started.

A process is started by its interpreter's safe path: nothing in the current folder is imported, or a
`json.py` that lies beside the videos would be run. `PYTHONPATH` is honoured.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing import connection
from pathlib import Path
from typing import Any, TypeVar

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


# Loading TensorFlow on a busy machine, or from a network disk, takes long.
START_SECONDS = 180.0
# For a process that is ending by itself, as all do that crash.
GRACE_SECONDS = 1.0
_READY, _MESSAGE, _DONE, _RAISED, _LOST = "ready", "message", "done", "raised", "lost"

Item = TypeVar("Item")
Result = TypeVar("Result")

_running: weakref.WeakSet[ChildProcess] = weakref.WeakSet()


class ChildProcess:
    """A process that answers over its `connection`, and may crash or hang at what it is asked.

    Unlike one of `multiprocessing`, it does not import the script that starts it. It ignores
    Ctrl-C, which reaches all processes of a terminal, and is killed when this process ends or
    drops it.

    Args:
        serve: A function of a module, called in the process with the arguments and its end of the
            connection. The process ends when it returns, as it should when the connection ends.
        *arguments: Sent there by pickle, which imports the modules that they need.
        silent: Whether what libraries write to the process's standard error is dropped.
        environment: Variables that differ there. `None` has Keras run on TensorFlow.

    Example:

    >>> process = ChildProcess(serve, options)
    >>> process.connection.send(question)
    >>> answer = process.connection.recv()
    """

    def __init__(
        self,
        serve: Callable[..., None],
        *arguments: Any,
        silent: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if environment is None:
            # Where TensorFlow is imported, it imports Keras, which would import its backend.
            environment = {"KERAS_BACKEND": "tensorflow"}
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
        self._finalizer = weakref.finalize(self, _end, self._process)
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

        Args:
            grace: Seconds in which it may end by itself. One that has crashed keeps the exit code
                of the crash.
        """
        self.connection.close()
        if grace:
            self.join(grace)
        self.kill()
        return self.join()


class WorkerStartError(OSError):
    """A worker process does not start."""


class LostTaskError(Exception):
    """A task ended its process, or took so long that its process was ended.

    Its text follows what was tried, as in "Reading 'video.mp4' crashes the decoder (...)".

    Args:
        exitcode: How the process ended; `None` if the task took too long.
        time_limit: Seconds that the task was given.
    """

    def __init__(self, exitcode: int | None, time_limit: float | None = None) -> None:
        super().__init__(exitcode, time_limit)
        self.exitcode = exitcode
        self.time_limit = time_limit

    def __str__(self) -> str:
        if self.exitcode is None:
            return f"takes longer than {self.time_limit:g} seconds, or never ends"
        return f"crashes the decoder ({exit_reason(self.exitcode)})"


class WorkerPool:
    """Child processes that work on tasks, any of which may crash or hang its process.

    Such a task is lost, and raises a `LostTaskError`; the next one gets a new process. Use it
    where files that somebody else made are read by libraries in C.

    Neither pebble nor loky is used in its place: pebble (LGPL) starts its processes through
    `multiprocessing`, which imports the user's script and the current folder, and loky (BSD) gives
    up all its tasks when one process dies and has no time limit.

    Args:
        prepare: A function of a module, called once in each process with `arguments`. It returns
            the function that is called there for each task, with the task and a function that
            sends a message; what it returns, or the exception that it raises, comes back.
        *arguments: Sent there by pickle.
        num_processes: How many.
        time_limit: Seconds that a task may take; each message that it sends starts them over.
            `None` sets no limit.
        deaths_per_task: Processes that must end at a task for it to be lost. With 2, a process
            that the system ended for want of memory is not blamed on its task.
        silent: See `ChildProcess`.

    Example:

        with WorkerPool(make_reader, options, num_processes=4, time_limit=60.0) as pool:
            for video in pool.map(pool.run, paths):
                ...
    """

    def __init__(
        self,
        prepare: Callable[..., Callable[[Any, Callable[[Any], None]], Any]],
        *arguments: Any,
        num_processes: int,
        time_limit: float | None = None,
        deaths_per_task: int = 1,
        silent: bool = False,
    ) -> None:
        self.time_limit = time_limit
        self.deaths_per_task = deaths_per_task
        self._start = lambda: _Worker(_work, prepare, arguments, silent=silent)
        self._closed = False
        self._workers = [self._start() for _ in range(num_processes)]
        # Of those that have nothing to do, the one that was used last comes first.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in reversed(self._workers):
            self._idle.put(worker)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, task: Any, on_message: Callable[[Any], None] = lambda message: None) -> Any:
        """Works on a task in a process, and returns its result; threads may call it.

        Args:
            task: Sent to the process by pickle.
            on_message: Called with each message that the task sends, in this thread.

        Raises:
            LostTaskError: if the task ends its process, or takes too long.
            WorkerStartError: if no process starts.
        """
        worker = self._idle.get()
        try:
            for _ in range(self.deaths_per_task):
                worker = self._living(worker)
                if not worker.ready:
                    worker.wait_until_ready()
                if self._closed:
                    raise OSError("The processes have been closed.")
                kind, content = worker.ask(task, self.time_limit, on_message)
                if kind == _DONE:
                    return content
                if kind == _RAISED:
                    raise content
                if content is None:
                    break
            raise LostTaskError(content, self.time_limit)
        finally:
            self._idle.put(worker)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], ordered: bool = True
    ) -> Iterator[Result]:
        """Yields what `run`, or a function that calls it, returns for each item.

        It is called in as many threads as there are processes. Results come in the order of the
        items, or unless `ordered` as they are ready.
        """
        threads = ThreadPoolExecutor(max(1, len(self._workers)))
        try:
            futures = [threads.submit(function, item) for item in items]
            for future in futures if ordered else as_completed(futures):
                yield future.result()
        finally:
            # After an error or Ctrl-C, what waits is not started.
            threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Ends all processes, whatever they do; threads that wait for them get an error."""
        self._closed = True
        for worker in self._workers:
            worker.kill()
        # Their connections are left to the threads that read them.
        for worker in self._workers:
            worker.join()

    def _living(self, worker: _Worker) -> _Worker:
        """Returns a worker, or another in its place if it has ended meanwhile."""
        if worker.exitcode is None or not worker.ready or self._closed:
            return worker
        worker.end()
        place, worker = self._workers.index(worker), self._start()
        self._workers[place] = worker
        return worker


class _Worker(ChildProcess):
    """A process of a pool. It is `ready` when it has started, or could not."""

    ready = False

    def wait_until_ready(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll(START_SECONDS) and _receive(self.connection)[0] == _READY:
                self.ready = True
                return
        code = self.end(GRACE_SECONDS)
        self.ready = True
        raise WorkerStartError(f"A worker process does not start ({exit_reason(code)}).")

    def ask(
        self, task: Any, time_limit: float | None, on_message: Callable[[Any], None]
    ) -> tuple[str, Any]:
        """Returns the kind of the end and what came with it; after a death the exit code."""
        to_send = [(_MESSAGE, task)]
        try:
            while True:
                try:
                    while to_send:
                        _send(self.connection, to_send.pop())
                    if not self.connection.poll(time_limit):
                        self.end()
                        return _LOST, None
                    kind, content = _receive(self.connection)
                except (EOFError, OSError):
                    return _LOST, self.end(GRACE_SECONDS)
                if kind != _MESSAGE:
                    return kind, content
                on_message(content)
        except BaseException:
            # It is in the middle of a task of which nobody reads the end.
            self.end()
            raise


def _work(
    prepare: Callable[..., Any], arguments: tuple[Any, ...], parent: connection.Connection
) -> None:
    """The life of a worker: tasks until the connection ends, as it does with the parent."""
    work = prepare(*arguments)
    with contextlib.suppress(EOFError, OSError):
        _send(parent, (_READY, None))
        while True:
            _, task = _receive(parent)
            answer: tuple[str, Any]
            try:
                answer = _DONE, work(task, lambda message: _send(parent, (_MESSAGE, message)))
            except Exception as error:
                answer = _RAISED, _portable(error)
            _send(parent, answer)


def _portable(error: Exception) -> Exception:
    """An exception that can be sent; some need arguments that pickle does not know."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(to: connection.Connection, value: Any) -> None:
    # Arrays go as they lie in memory: pickling would copy them once more.
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    to.send((content, len(buffers)))
    for buffer in buffers:
        to.send_bytes(buffer.raw())


def _receive(source: connection.Connection) -> Any:
    content, num_buffers = source.recv()
    return pickle.loads(content, buffers=[source.recv_bytes() for _ in range(num_buffers)])


def process_count(num_processes: int | None) -> int:
    """Checks a number of processes; `None` is one per core that this process may use."""
    if num_processes is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if isinstance(num_processes, bool) or not isinstance(num_processes, int) or num_processes < 1:
        raise ValueError(
            "`num_processes` must be a positive integer or None. "
            f"Received: num_processes={num_processes!r}"
        )
    return num_processes


def use_tensorflow_on_one_core() -> None:
    """Has TensorFlow compute on one core and no GPU; for the start of a worker process."""
    import tensorflow as tf

    # Nothing there is for a GPU, whose memory a worker would take.
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


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
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        **options,
    )


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
    """The life of a `ChildProcess`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_quiet_if_asked()
    kind: Any = getattr(connection, "PipeConnection", connection.Connection)
    with kind(handle) as ours, contextlib.suppress(EOFError):
        serve, arguments = ours.recv()
        serve(*arguments, ours)
