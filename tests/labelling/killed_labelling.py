"""Labellings that are killed so many seconds after they have begun a batch, if told to be."""

import time

import keras
from evaluation_toys import toy
from forked_runs import die_after

from keras_tdn.labelling import LabelOptions, label_videos
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.specs import ViewSpec

# As a real model, the toy takes most of the time of a run.
SECONDS_PER_BATCH = 0.05


def child(paths, output, batch=None, delay=0.0):
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
    keras.utils.set_random_seed(0)
    label_videos(
        toy(),
        paths,
        output,
        LabelOptions(views=ViewSpec(num_clips=4), videos_per_shard=2),
        progress=False,
        batch_size=2,
        num_workers=2,
    )
