"""`keras-tdn train`, killed at a certain moment if told to be.

`kind` is one of the kinds of moments below and `number` which of them, from 1; or `"time"` and the
seconds after the first state is there.
"""

import os
import signal
import time
from collections import Counter

import numpy as np
from forked_runs import die_after

from keras_tdn import cli
from keras_tdn.training.callbacks import InputTiming, StopOnDivergence, training_state

# In the middle of a state that is being written; at the disk; around a step.
MOMENTS = {
    "array": ((np.lib.format, "write_array"),),
    "file": ((os, "fsync"), (os, "replace"), (os, "unlink")),
    "step": (
        (StopOnDivergence, "on_epoch_begin"),
        (StopOnDivergence, "on_train_batch_begin"),
        (InputTiming, "on_train_batch_end"),
    ),
}


def child(arguments, kind="none", number=0):
    """Returns how many moments of each kind there were, and the seconds since the first state."""
    counts, states = Counter(), []
    for each, functions in MOMENTS.items():
        for owner, name in functions:
            watch(owner, name, counts, each, number if each == kind else 0)
    write_state = training_state.write_state

    def written(*arguments):
        write_state(*arguments)
        if not states and kind == "time":
            die_after(max(number, 1e-3))
        states.append(time.monotonic())

    training_state.write_state = written
    assert cli.main(arguments) == 0
    return {"counts": counts, "seconds": time.monotonic() - states[0] if states else 0.0}


def watch(owner, name, counts, kind, fatal):
    """Counts calls of a function, and kills the process in front of the fatal one of its kind."""
    function = getattr(owner, name)

    def counted(*arguments, **options):
        counts[kind] += 1
        if counts[kind] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, name, counted)
