"""Runs of `pack` for `forked_runs`, whose workers are forked as well: nothing is loaded again."""

import multiprocessing
import os
import signal

from keras_tdn import worker_pool
from keras_tdn.data.packing import pack, shards
from keras_tdn.data.records import Record, RecordList


class ForkedWorker(worker_pool._Worker):
    """A worker of a pool, forked instead of started."""

    def __init__(self, serve, *arguments, silent=False):
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=serve, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def exitcode(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def join(self, timeout=None):
        self._process.join(timeout)
        return self._process.exitcode

    def end(self, grace=0.0):
        self.connection.close()
        if grace:
            self.join(grace)
        self.kill()
        return self.join()


def die_at_event(number):
    """Kills the group before the `number`-th write to the disk, or after the one before."""
    counter = multiprocessing.get_context("fork").Value("i", 0)

    def watched(function):
        def call(*arguments, **options):
            with counter.get_lock():
                counter.value += 1
                if counter.value == number:
                    os.killpg(0, signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("replace", "fsync", "unlink"):
        setattr(os, name, watched(getattr(os, name)))


def die_at_video(name):
    """Kills a worker, as a decoder does that crashes on a video."""
    encode = shards.encode_record

    def encode_or_die(record, text, options):
        if os.path.basename(record.path) == name:
            os.kill(os.getpid(), signal.SIGSEGV)
        return encode(record, text, options)

    shards.encode_record = encode_or_die


def child(records, labels, output, options, event=None, crash=None):
    worker_pool._Worker = ForkedWorker
    if event is not None:
        die_at_event(event)
    if crash is not None:
        die_at_video(crash)
    listed = [Record(path, label, index=index) for index, path, label in records]
    pack(RecordList(listed, labels), output, progress=False, **options)
