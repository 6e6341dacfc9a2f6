"""Packing and reading on one core: `python tests/data/packing/measure.py VIDEO [VIDEO ...]`.

Times are of the processor, not of the clock, so that other work on the machine counts less.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys
import tempfile
import time

import tensorflow as tf
from packed_clips import packed_clips

from keras_tdn.data import SegmentSampler
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.packing.sequence_example import stream_frames
from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.transforms import Compose, MultiScaleCrop, ResizeAndCenterCrop

COPIES = 24
SAMPLER = SegmentSampler(num_segments=8, mode="random")
CENTER = (16, 58, 224, 224)


def one_thread(dataset):
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def show(what, count, seconds, note=""):
    sys.stdout.write(
        f"{what:46s}{count / seconds:8.1f} /s {1e3 * seconds / count:9.2f} ms {note}\n"
    )


def timed(function):
    begun = time.process_time()
    result = function()
    return result, time.process_time() - begun


def measure(path, folder):
    records = RecordList(Record(path, 0, index=index) for index in range(COPIES))
    sys.stdout.write(f"{os.path.basename(path)}, {COPIES} copies\n")
    _, seconds = timed(lambda: [sum(1 for _ in stream_frames(path, 256)) for _ in range(3)])
    show("videos decoded and resized", 3, seconds)
    report, seconds = timed(lambda: pack(records, folder, num_processes=1, progress=False))
    each = report.num_bytes / COPIES
    show(
        "videos packed",
        COPIES,
        seconds,
        f"{each / 1e6:.2f} MB, {report.num_frames // COPIES} "
        f"frames, video {os.path.getsize(path) / 1e6:.2f} MB",
    )
    loaded = load_packed(folder)
    crop = Compose((MultiScaleCrop(),))
    center = ResizeAndCenterCrop()
    cases = {
        "one frame (reading the record)": (lambda n, s: [0], None, None),
        "40 frames, whole": (SAMPLER, None, None),
        "40 frames, 224 of the centre decoded": (SAMPLER, lambda h, w, s: CENTER, None),
        "40 frames, random crop decoded": (SAMPLER, crop.box, None),
        "  and resized to 224 (training)": (
            SAMPLER,
            crop.box,
            lambda clip: crop.finish(clip, (0, 0)),
        ),
        "40 frames, whole, test view": (SAMPLER, None, center),
    }
    for name, (sampler, box, finish) in cases.items():
        dataset = packed_clips(loaded, sampler, crop=box, parallel=1, shuffle=True)
        dataset = dataset.map(lambda element: element["frames"])
        dataset = one_thread(dataset.map(finish) if finish else dataset)
        list(dataset.take(2))
        num_clips, seconds = timed(lambda dataset=dataset: sum(1 for _ in dataset))
        show("clips: " + name, num_clips, seconds)


if __name__ == "__main__":
    for video in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as scratch:
            measure(video, scratch)
