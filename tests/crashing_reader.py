"""A process that stands in for one that reads videos; it loads neither Keras nor the package."""

import os
import time

import numpy as np

SHAPE = (1, 2, 4, 4, 3)


def serve(options, starts, connection):
    """`starts` is a path where it counts its starts; a record's path says what happens."""
    with open(starts, "a") as file:
        file.write("started\n")
    if "never" in str(starts):
        os._exit(7)
    connection.send("ready")
    while True:
        # Taking the record out of the bytes would import the package.
        question = connection.recv_bytes()
        if b"crash" in question:
            os._exit(11)
        if b"hang" in question:
            time.sleep(600)
        if b"bad" in question:
            connection.send("no video")
            continue
        connection.send((SHAPE, np.zeros((1, 2), np.int64)))
        connection.send_bytes(np.arange(np.prod(SHAPE), dtype=np.uint8).data)


def serve_but_crash(options, clip_spec, connection):
    """The real one, but for what stands for a decoder that crashes: a path with "bad" in it."""
    from keras_tdn.scoring import reading_processes

    class Reader(reading_processes.ViewReader):
        def read(self, record):
            if "bad" in record.path:
                os._exit(11)
            return super().read(record)

    reading_processes.ViewReader = Reader
    reading_processes._serve(options, clip_spec, connection)
