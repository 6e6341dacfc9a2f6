"""The pool of processes for tasks that may crash or hang."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from keras_tdn.processes import ChildProcess, exit_reason
from keras_tdn.specs import checked_integer

# Loading TensorFlow on a busy machine, or from a network disk, takes long.
START_SECONDS = 180.0
# For a process that is ending by itself, as all do that crash.
GRACE_SECONDS = 1.0
_MESSAGE, _DONE, _RAISED = "message", "done", "raised"

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerStartError(OSError):
    """A worker process does not start."""


class LostTaskError(Exception):
    """A task ended its process, or, without an `exitcode`, took longer than its `time_limit`.

    Its text follows what was tried, as in "Reading 'video.mp4' crashes the decoder (...)".
    """

    def __init__(self, exitcode: int | None, time_limit: float | None = None) -> None:
        super().__init__(exitcode, time_limit)
        self.exitcode, self.time_limit = exitcode, time_limit

    def __str__(self) -> str:
        if self.exitcode is None:
            return f"takes longer than {self.time_limit:g} seconds, or never ends"
        return f"crashes the decoder ({exit_reason(self.exitcode)})"


class WorkerPool(contextlib.AbstractContextManager["WorkerPool"]):
    """Child processes that work on tasks, any of which may crash or hang its process.

    Such a task is lost, and the next one gets a new process. Neither pebble nor loky is used in
    its place: pebble starts processes through `multiprocessing`, which imports the user's script
    and the current folder, and loky gives up all tasks when one process dies.

    `prepare`, a function of a module, is called once in each process with `arguments`. It returns
    the function that is called there for each task, with the task and a function that sends a
    message; what that returns or raises comes back. A task may take `time_limit` seconds, which
    each message starts over. It is lost when `deaths_per_task` processes have ended at it: with 2,
    a process that the system ended for want of memory is not blamed on its task.
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
        self.time_limit, self.deaths_per_task = time_limit, deaths_per_task
        self._start = lambda: _Worker(_work, prepare, arguments, silent=silent)
        self._closed = False
        self._workers = [self._start() for _ in range(num_processes)]
        # Of those that have nothing to do, the one that was used last comes first.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in reversed(self._workers):
            self._idle.put(worker)

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, task: Any, on_message: Callable[[Any], None] = lambda message: None) -> Any:
        """Works on a task in a process, and returns its result; threads may call it.

        `on_message` is called with each message that the task sends. Raises the task's own
        exception, a `LostTaskError`, or a `WorkerStartError` if no process starts.
        """
        worker = self._idle.get()
        deaths = 0
        try:
            while True:
                if self._closed:
                    raise OSError("The processes have been closed.")
                if worker.ready and worker.exitcode is not None:
                    worker = self._replace(worker)
                try:
                    return worker.ask(task, self.time_limit, on_message)
                except LostTaskError as lost:
                    deaths += 1
                    if lost.exitcode is None or deaths == self.deaths_per_task:
                        raise
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

    def _replace(self, worker: _Worker) -> _Worker:
        worker.end()
        place, worker = self._workers.index(worker), self._start()
        self._workers[place] = worker
        if self._closed:
            # `close` may have gone through the list before.
            worker.kill()
        return worker


class _Worker(ChildProcess):
    """A process of a pool. It is `ready` when it has started, or could not."""

    ready = False

    def ask(self, task: Any, time_limit: float | None, on_message: Callable[[Any], None]) -> Any:
        """Returns the result of a task, or raises its error or a `LostTaskError`."""
        if not self.ready:
            self._wait_until_ready()
        try:
            kind, content = self._answer(time_limit, task)
            while kind == _MESSAGE:
                on_message(content)
                kind, content = self._answer(time_limit)
        except BaseException:
            # It may be in the middle of a task of which nobody reads the end.
            self.end()
            raise
        if kind == _RAISED:
            raise content
        return content

    def _wait_until_ready(self) -> None:
        try:
            self._answer(START_SECONDS)
        except LostTaskError as lost:
            self.ready = True
            reason = exit_reason(self.end())
            raise WorkerStartError(f"A worker process does not start ({reason}).") from lost
        self.ready = True

    def _answer(self, time_limit: float | None, *to_send: Any) -> tuple[str, Any]:
        code = None
        try:
            for value in to_send:
                _send(self.connection, value)
            if self.connection.poll(time_limit):
                return _receive(self.connection)
        except (EOFError, OSError):
            code = self.end(GRACE_SECONDS)
        raise LostTaskError(code, time_limit)


def _work(prepare: Callable[..., Any], arguments: tuple[Any, ...], parent: Any) -> None:
    """The life of a worker: tasks until the connection ends, as it does with the parent."""
    work = prepare(*arguments)
    with contextlib.suppress(EOFError, OSError):
        _send(parent, (_MESSAGE, "ready"))
        while True:
            task = _receive(parent)
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


def _send(to: Any, value: Any) -> None:
    # Arrays go as they lie in memory: pickling would copy them once more.
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    to.send((content, len(buffers)))
    for buffer in buffers:
        to.send_bytes(buffer.raw())


def _receive(source: Any) -> Any:
    content, num_buffers = source.recv()
    return pickle.loads(content, buffers=[source.recv_bytes() for _ in range(num_buffers)])


def process_count(num_processes: int | None) -> int:
    """Checks a number of processes; `None` is one per core that this process may use."""
    if num_processes is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = "`num_processes` must be a positive integer or None"
    return checked_integer("num_processes", num_processes, wanted)


def use_tensorflow_on_one_core() -> None:
    """Has TensorFlow compute on one core and no GPU; for the start of a worker process."""
    import tensorflow as tf

    # Nothing there is for a GPU, whose memory a worker would take.
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
