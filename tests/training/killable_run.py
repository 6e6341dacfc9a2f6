"""`keras-tdn` in a process of its own, which kills itself at a certain moment.

    python killable_run.py KIND NUMBER ARGUMENTS...

KIND is one of the kinds of moments below, NUMBER which of them, from 1; 0 is none. How many of each
kind there were is the last line of standard output.
"""

import json
import os
import signal
import sys
from collections import Counter

import numpy as np

import keras_tdn.training.training_run  # noqa: F401
from keras_tdn import cli
from keras_tdn.training.callbacks import InputTiming, StopOnDivergence

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


def watch(owner, name, kind, fatal):
    """Counts calls of a function, and kills the process in front of the fatal one of its kind."""
    function = getattr(owner, name)

    def counted(*arguments, **options):
        counts[kind] += 1
        if counts[kind] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, name, counted)


counts = Counter()

if __name__ == "__main__":
    fatal_kind, number, *arguments = sys.argv[1:]
    for kind, functions in MOMENTS.items():
        for owner, name in functions:
            watch(owner, name, kind, int(number) if kind == fatal_kind else 0)
    status = cli.main(arguments)
    sys.stdout.write(json.dumps(counts) + "\n")
    sys.exit(status)
