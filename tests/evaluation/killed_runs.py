"""Evaluations that are killed so many seconds after they have begun a batch, if told to be, or
after they have begun to write their results."""

import os
import time

import keras
from evaluation_toys import toy
from forked_runs import die_after

from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation.evaluation import evaluate
from keras_tdn.evaluation.results_folder import ResultsFolder
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.specs import ViewSpec

# As a real model, the toy takes most of the time of a run.
SECONDS_PER_BATCH = 0.05
# Before a file gets its name and after it, so that all of writing takes at least six times as long.
SECONDS_PER_NAME = 0.03


def child(records, output, batch, delay):
    if batch == "writing":
        write_slowly(delay)
    score = Scorer.score
    count = 0

    def slowly(self, clips):
        nonlocal count
        count += 1
        if count == batch:
            die_after(delay)
        time.sleep(SECONDS_PER_BATCH)
        return score(self, clips)

    Scorer.score = slowly
    listed = RecordList(
        [Record(path, label, index=index) for index, (path, label) in enumerate(records)]
    )
    keras.utils.set_random_seed(0)
    evaluate(
        toy(),
        listed,
        ViewSpec(num_clips=10, num_crops=3),
        output=output,
        resume=True,
        progress=False,
        batch_size=8,
        num_workers=2,
    )


def write_slowly(delay):
    write, replace = ResultsFolder.write, os.replace

    def renamed(source, target):
        time.sleep(SECONDS_PER_NAME)
        replace(source, target)
        time.sleep(SECONDS_PER_NAME)

    def begun(*arguments):
        die_after(delay)
        os.replace = renamed
        write(*arguments)

    ResultsFolder.write = begun
