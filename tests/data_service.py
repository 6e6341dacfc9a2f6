"""A `tf.data` service, each part of it a process of its own.

A worker in the process that reads from it may wait for that process for ever when it is stopped.
"""

import os
import socket
import subprocess
import sys

# As docs/distributed_training.md gives them.
DISPATCHER = """
import sys, tensorflow as tf
service = tf.data.experimental.service
config = service.DispatcherConfig(port=int(sys.argv[1]))
service.DispatchServer(config).join()
"""
WORKER = """
import sys, tensorflow as tf
service = tf.data.experimental.service
config = service.WorkerConfig(dispatcher_address=sys.argv[1])
service.WorkerServer(config).join()
"""


class Service:
    """A dispatcher, and workers that can be added."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.address = f"localhost:{port}"
        self._folder = folder
        self._processes = []
        self._start(DISPATCHER, str(port))

    def add_worker(self):
        self._start(WORKER, self.address)

    def _start(self, program, argument):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.Popen(
            [sys.executable, "-c", program, argument],
            cwd=self._folder,
            env=environment | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)

    def stop(self):
        for process in self._processes:
            process.kill()
            process.wait()
