"""What the workers of the tests do: they follow orders."""

import os
import signal
import time

import numpy as np


class OddError(Exception):
    """Pickle cannot make it again."""

    def __init__(self, one, two):
        super().__init__(one)


def obey(added):
    def work(task, send):
        order, value = task
        if order == "add":
            return value + added
        if order == "array":
            return {"frames": np.full(value, 7, np.uint8), "empty": np.zeros((0, 3))}
        if order == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if order == "crash once" and not os.path.exists(value):
            with open(value, "w"):
                os._exit(3)
        if order == "hang":
            time.sleep(600)
        if order == "slow":
            for step in range(value):
                time.sleep(0.3)
                send(step)
        if order == "fail":
            raise ValueError(value)
        if order == "fail oddly":
            raise OddError("one", "two")
        return os.getpid()

    return work


def never_start():
    raise SystemExit(3)
