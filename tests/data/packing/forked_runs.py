"""Runs of `pack` in process groups of their own, without the seconds that TensorFlow takes to load.

A process that has imported everything, and run nothing, forks a child for each run it is asked for;
the child's workers are forked as well. Requests and answers are lines of JSON.
"""

import json
import multiprocessing
import os
import signal
import sys
import time
import traceback

import tensorflow  # noqa: F401

from keras_tdn.data.packing import frames_to_jpeg, pack, shard_writer, workers
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.locks import locked

SCRATCH = os.open(os.devnull, os.O_WRONLY)


class ForkedProcess:
    """What a `ChildProcess` is to a pool of workers."""

    def __init__(self, serve, *arguments):
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=serve, args=(*arguments, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self):
        self.process.kill()

    def join(self):
        self.process.join()
        return self.process.exitcode

    def end(self):
        self.connection.close()
        return self.join()


def die():
    os.killpg(0, signal.SIGKILL)


def die_at_event(number):
    """Kills the group before the `number`-th write to the disk, or after the one before."""
    counter = multiprocessing.get_context("fork").Value("i", 0)

    def watched(function):
        def call(*arguments, **options):
            with counter.get_lock():
                counter.value += 1
                if counter.value == number:
                    die()
            return function(*arguments, **options)

        return call

    for name in ("replace", "fsync", "unlink"):
        setattr(os, name, watched(getattr(os, name)))


def die_at_video(name):
    """Kills a worker, as a decoder does that crashes on a video."""
    encode = frames_to_jpeg.encode_frames

    def encode_or_die(path, options):
        if os.path.basename(path) == name:
            os.kill(os.getpid(), signal.SIGSEGV)
        return encode(path, options)

    shard_writer.encode_frames = encode_or_die


def child(request):
    os.setsid()
    os.dup2(SCRATCH, 1)
    workers.ChildProcess = ForkedProcess
    if request.get("event"):
        die_at_event(request["event"])
    if request.get("crash"):
        die_at_video(request["crash"])
    records = RecordList(
        [Record(path, label, index=index) for index, path, label in request["records"]],
        request["labels"],
    )
    pack(records, request["output"], progress=False, **request["options"])


def wait_for_lock(folder):
    """Forked workers, unlike spawned ones, hold their parent's lock until they are dead as well."""
    while os.path.isdir(folder):
        try:
            with locked(folder):
                return
        except ValueError:
            time.sleep(0.001)


def answer(request):
    begun = time.monotonic()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            child(request)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if request.get("seconds") is not None:
        time.sleep(request["seconds"])
        # Before it has its own group there is only itself.
        for kill in (os.killpg, os.kill):
            try:
                kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    wait_for_lock(request["output"])
    return {"status": status, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
