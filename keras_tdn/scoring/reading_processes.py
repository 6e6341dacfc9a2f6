"""Videos read in processes of their own, which a bad one may crash or hang."""

from __future__ import annotations

import contextlib
import queue
from multiprocessing.connection import Connection

import numpy as np

from keras_tdn.data.records import Record
from keras_tdn.processes import ChildProcess
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import VideoViews, ViewReader, reason_of
from keras_tdn.specs import ClipSpec

# Loading TensorFlow on a busy machine takes long.
START_SECONDS = 180.0
# A process may be ended for want of memory; that it was the video's fault, the second one tells.
DEATHS_PER_VIDEO = 2
# For one that is ending by itself, as all do when the connection ends.
GRACE_SECONDS = 0.2
READY = "ready"


class ReadingProcesses:
    """Reads views in processes; called by as many threads as there are processes.

    Use it in place of threads alone where an archive may hold files that crash or hang a decoder,
    or where more processors decode than Python's lock lets threads use. A video that ends its
    process twice, or takes too long, is bad, and the next one gets a new process.

    Args:
        options: How videos are read. `num_workers` are processes; each takes some hundreds of
            megabytes for TensorFlow.
        clip_spec: The clip that the model takes.

    Raises:
        OSError: if they do not start.
    """

    def __init__(self, options: ScoringOptions, clip_spec: ClipSpec) -> None:
        self._time_limit = options.time_limit
        self._closed = False
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._processes = [_Process(options, clip_spec) for _ in range(options.workers)]
        try:
            for process in self._processes:
                process.wait_until_ready()
                self._idle.put(process)
        except OSError:
            self.close()
            raise

    def __call__(self, record: Record) -> VideoViews:
        """The views of a record.

        Raises:
            ValueError: if it cannot be read, or it crashes or hangs the decoder.
        """
        process = self._idle.get()
        try:
            for _ in range(DEATHS_PER_VIDEO):
                try:
                    return process.ask(record, self._time_limit)
                except TimeoutError:
                    process.restart()
                    raise ValueError(
                        f"Reading {record.path!r} takes longer than {self._time_limit:g} seconds, "
                        "or never ends."
                    ) from None
                except (EOFError, OSError):
                    # The second is of an answer that ends in the middle.
                    if self._closed:
                        raise
                    code = process.restart()
            raise ValueError(
                f"Reading {record.path!r} crashes the decoder: {DEATHS_PER_VIDEO} processes ended "
                f"with exit code {code} at it."
            )
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """Ends all processes, wherever they are; threads that wait for them get an error."""
        self._closed = True
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.end()


class _Process:
    """One that reads, and another in its place when it has died."""

    def __init__(self, options: ScoringOptions, clip_spec: ClipSpec) -> None:
        self._arguments = options, clip_spec
        self._start()

    def ask(self, record: Record, time_limit: float) -> VideoViews:
        self._connection.send(record)
        if not self._connection.poll(time_limit):
            raise TimeoutError
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise ValueError(answer)
        shape, positions = answer
        # As raw bytes: pickling would copy them once more.
        crops = np.frombuffer(self._connection.recv_bytes(), np.uint8).reshape(shape)
        return VideoViews(list(crops), positions)

    def wait_until_ready(self) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            if self._connection.poll(START_SECONDS) and self._connection.recv() == READY:
                return
        code = self.end()
        raise OSError(f"A process that reads videos does not start (exit code {code}).")

    def restart(self) -> int | None:
        """How the old one ended."""
        code = self.end()
        self._start()
        self.wait_until_ready()
        return code

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int | None:
        return self._process.end(GRACE_SECONDS)

    def _start(self) -> None:
        self._process = ChildProcess(_serve, *self._arguments)
        self._connection = self._process.connection


def _serve(options: ScoringOptions, clip_spec: ClipSpec, connection: Connection) -> None:
    """A process's life: records until the connection ends, as it does when the parent is killed."""
    import tensorflow as tf

    # Nothing here is for a GPU, whose memory a process would take.
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    read = ViewReader(options, clip_spec).read
    with contextlib.suppress(EOFError, OSError):
        connection.send(READY)
        while True:
            record = connection.recv()
            try:
                video = read(record)
            except Exception as error:
                connection.send(reason_of(error))
                continue
            # A single crop, the usual case, is not copied.
            crops = np.stack(video.crops) if len(video.crops) > 1 else video.crops[0][np.newaxis]
            connection.send((crops.shape, video.positions))
            connection.send_bytes(np.ascontiguousarray(crops).data.cast("B"))
