"""Evaluations that are killed so many seconds after they have begun a batch, if told to be."""

import time

import keras
import tensorflow  # noqa: F401
from evaluation_toys import toy
from forked_runs import die_in, serve

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
            die_in(request["delay"])
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


if __name__ == "__main__":
    serve(child)
