"""Labellings by Beam that are killed so many seconds after a moment, if told to be."""

import os
import signal
import threading

from keras_tdn.data.records import load_records
from keras_tdn.labelling import Labeller, LabelOptions, label_with_beam
from keras_tdn.labelling.label_folder import LabelFolder

# Where the time of a run goes: the model, and the files of rows.
MOMENTS = {"model": (Labeller, "values_of_videos"), "file": (LabelFolder, "write_shard")}


def child(preset, paths, output, options, moment="", number=0, delay=0.0):
    if moment:
        owner, name = MOMENTS[moment]
        method = getattr(owner, name)
        count = 0

        def counted(*arguments, **keywords):
            nonlocal count
            count += 1
            if count == number:
                # Handled by nobody, wherever the runner's threads are.
                kill = os.getpid(), signal.SIGKILL
                threading.Timer(delay, os.kill, kill).start()
            return method(*arguments, **keywords)

        setattr(owner, name, counted)
    records = load_records([(path, 0) for path in paths])
    label_with_beam(
        preset,
        records,
        output,
        LabelOptions(**options),
        pipeline_options=["--runner=DirectRunner"],
        batch_size=2,
    )
