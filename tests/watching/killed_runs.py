"""Timelines whose process is killed so many seconds after it has begun a window, if told to be."""

import time

import keras
from forked_runs import die_after
from watched import small_model

from keras_tdn.watching import record_timeline
from keras_tdn.watching.window_scorer import WindowScorer

# As a real model, the small one takes most of the time of a run.
SECONDS_PER_WINDOW = 0.02


def child(video, output, window, delay):
    score = WindowScorer.score
    count = 0

    def slowly(self, maps):
        nonlocal count
        count += 1
        if count == window:
            die_after(delay)
        time.sleep(SECONDS_PER_WINDOW)
        return score(self, maps)

    WindowScorer.score = slowly
    keras.utils.set_random_seed(0)
    record_timeline(small_model(), video, output, window_seconds=0.8, resume=True, progress=False)
