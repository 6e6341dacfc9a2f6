"""Evaluations in processes of their own, without the seconds that TensorFlow takes to load.

A process that has imported everything, and run nothing, forks a child for each run it is asked for.
A child is killed so many seconds after it has begun a batch, if it is told to be. Requests and
answers are lines of JSON.
"""

import json
import os
import signal
import sys
import time

import keras
import tensorflow  # noqa: F401
from evaluation_toys import toy

from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation.evaluation import evaluate
from keras_tdn.evaluation.scoring import Scorer
from keras_tdn.specs import ViewSpec

# As a real model, the toy takes most of the time of a run.
SECONDS_PER_BATCH = 0.05


def child(request):
    score = Scorer.score
    count = 0

    def slowly(self, clips):
        nonlocal count
        count += 1
        if count == request["batch"]:
            # The system ends the process then, whatever it does: nothing handles this signal. A
            # kill from outside would come late on a busy machine.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, request["delay"])
        time.sleep(SECONDS_PER_BATCH)
        return score(self, clips)

    Scorer.score = slowly
    records = RecordList(
        [Record(path, label, index=index) for index, (path, label) in enumerate(request["records"])]
    )
    keras.utils.set_random_seed(0)
    evaluate(
        toy(),
        records,
        ViewSpec(num_clips=10, num_crops=3),
        output=request["output"],
        resume=True,
        progress=False,
        batch_size=8,
        num_workers=2,
    )


def run(request):
    """How the run ended: 0 if well, else the number of the signal or 1."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.dup2(2, 1)
            child(request)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    print(json.dumps("ready"), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)  # noqa: T201
