"""Shards made side by side in processes of their own."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from keras_tdn.data.packing.index import PackedShard
from keras_tdn.data.packing.plan import ShardTask
from keras_tdn.data.packing.shard_writer import finished_shard, make_shard
from keras_tdn.processes import ChildProcess

# A video at which this many processes died is given up: a decoder can crash on a damaged one.
DEATHS_PER_RECORD = 2

Job = tuple[ShardTask, PackedShard | None]
Started = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Work:
    """What is the same for all shards.

    Args:
        folder: Where shards lie.
        retry_failures: Whether shards with failures are made again.
    """

    folder: Path
    retry_failures: bool = False

    def run(self, job: Job, starts: Callable[[int], None]) -> tuple[PackedShard, bool]:
        """The shard, made or found finished, and whether it was found."""
        task, noted = job
        found = finished_shard(task, self.folder, noted, self.retry_failures)
        if found is not None:
            return found, True
        return make_shard(task, self.folder, starts), False


def run_jobs(
    work: Work, jobs: Sequence[Job], num_processes: int, started: Started
) -> Iterator[tuple[ShardTask, PackedShard, bool]]:
    """Does all jobs, in any order.

    Args:
        work: What is the same for all.
        jobs: Shards to make, each with what is noted of it.
        num_processes: Processes; with one, the work is done in this process.
        started: Called with a shard and the place of a record as each record begins.

    Raises:
        OSError: if a shard cannot be written.
        ValueError: if worker processes do not start.
    """
    if num_processes == 1:
        for job in jobs:
            shard = job[0].shard
            yield job[0], *work.run(job, functools.partial(started, shard))
        return
    pool = _Pool(work, jobs, num_processes, started)
    try:
        yield from pool.results()
    finally:
        pool.stop()


@dataclasses.dataclass
class _Worker:
    process: ChildProcess
    job: Job | None = None
    place: int | None = None


class _Pool:
    """Unlike the standard library's pools it outlives a worker that dies."""

    def __init__(
        self, work: Work, jobs: Sequence[Job], num_processes: int, started: Started
    ) -> None:
        self._work = work
        self._waiting = collections.deque(jobs)
        self._started = started
        self._deaths: collections.Counter[tuple[int, int]] = collections.Counter()
        self._workers = [self._start() for _ in range(min(num_processes, len(jobs)))]

    def results(self) -> Iterator[tuple[ShardTask, PackedShard, bool]]:
        while True:
            for worker in self._workers:
                if worker.job is None and self._waiting:
                    worker.job, worker.place = self._waiting.popleft(), None
                    self._send(worker)
            busy = {worker.process.connection: worker for worker in self._workers if worker.job}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    kind, content = worker.process.connection.recv()
                except (EOFError, OSError):
                    self._replace(worker)
                    continue
                task = worker.job[0]  # type: ignore[index]
                if kind == "started":
                    worker.place = content
                    self._started(task.shard, content)
                elif kind == "failed":
                    raise OSError(content)
                else:
                    worker.job = None
                    yield task, *content

    def stop(self) -> None:
        """Ends all workers, wherever they are."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.end()

    def _start(self) -> _Worker:
        return _Worker(ChildProcess(_serve, self._work))

    def _send(self, worker: _Worker) -> None:
        # Whether it has died meanwhile, the next reading finds out.
        with contextlib.suppress(OSError):
            worker.process.connection.send(worker.job)

    def _replace(self, worker: _Worker) -> None:
        """Puts a new worker in the place of a dead one, and its job back in the queue."""
        code = worker.process.join()
        if worker.job is None or worker.place is None:
            raise ValueError(
                f"A worker process ended with exit code {code} before it began a video. Pass "
                "num_processes=1 to see why."
            )
        task, noted = worker.job
        death = (task.shard, worker.place)
        self._deaths[death] += 1
        if self._deaths[death] >= DEATHS_PER_RECORD:
            task = task.without(
                worker.place,
                f"{DEATHS_PER_RECORD} processes ended with exit code {code} while decoding it",
            )
        self._waiting.appendleft((task, noted))
        worker.process.connection.close()
        self._workers[self._workers.index(worker)] = self._start()


def _serve(work: Work, connection: Connection) -> None:
    """A worker's life: jobs until the connection ends, as it does when the parent is killed."""
    import tensorflow as tf

    # Nothing here is for a GPU, whose memory a worker would take.
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Any] = (
                "done",
                work.run(job, lambda place: connection.send(("started", place))),
            )
        except BrokenPipeError:
            return
        except OSError as error:
            answer = ("failed", str(error))
        except Exception as error:
            answer = ("failed", f"{type(error).__name__}: {error}")
        try:
            connection.send(answer)
        except OSError:
            return
