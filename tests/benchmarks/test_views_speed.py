"""Input time of thirty views of a video, against thirty separate decodes of one view each.

    pip install pytest-benchmark
    pytest tests/benchmarks/test_views_speed.py -s

Both make the same thirty arrays of pixels, 10 clips x 3 crops of 40 frames of 256x256, out of the
same videos; one decodes each video once for all of them, as `evaluate` does, the other opens,
decodes and crops for every view, as ten runs of three crops would. They take turns on one
processor, and what counts is processor seconds, so that what else the machine does falls on nobody.
"""

import os
import time

import numpy as np
import pytest

pytest.importorskip("pytest_benchmark", reason="benchmarks need pytest-benchmark")

ROUNDS = 3
AT_LEAST = 5.0


@pytest.fixture(scope="module", autouse=True)
def one_core():
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    yield
    os.sched_setaffinity(0, everything)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    import kinetics_like

    from keras_tdn.data.records import load_records

    folder = tmp_path_factory.mktemp("views")
    paths = []
    for name, kind in kinetics_like.KINDS.items():
        paths.append((str(folder / f"{name}.mp4"), 0))
        kinetics_like.render(folder / f"{name}.mp4", kind)
    return load_records(paths)


def test_thirty_views_cost_a_fifth_of_thirty_decodes(records, benchmark):
    import tensorflow as tf

    from keras_tdn.scoring.scoring_options import ScoringOptions
    from keras_tdn.scoring.views import ViewReader, crop_set_of
    from keras_tdn.specs import ClipSpec, ViewSpec

    spec, views = ClipSpec(), ViewSpec(num_clips=10, num_crops=3)
    at_once = ViewReader(ScoringOptions(views), spec, records)
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    crops = tf.function(crop_set_of(views, spec), input_signature=signature)
    decoding = []

    def together(row):
        video = at_once.read_row(row)
        return [video.view(number) for number in range(30)]

    def separately(row):
        result = []
        for number in range(30):
            clip, crop = divmod(number, 3)

            def choose(num_frames, clip=clip):
                return at_once.clip_indices(records[row].index, num_frames)[clip]

            start = time.process_time()
            pixels = at_once.frames.read(row, choose)
            decoding[-1] += time.process_time() - start
            result.append(crops(pixels).numpy()[crop])
        return result

    decoding.append(0.0)
    for one, other in zip(together(0), separately(0), strict=True):
        np.testing.assert_array_equal(one, other)
    seconds = {"together": [], "separately": [], "decoding": []}

    def one_round():
        for row in range(len(records)):
            decoding.append(0.0)
            for name, function in (("together", together), ("separately", separately)):
                start = time.process_time()
                function(row)
                seconds[name].append(time.process_time() - start)
            seconds["decoding"].append(decoding[-1])

    benchmark.pedantic(one_round, rounds=ROUNDS)
    ratio = float(np.median(np.divide(seconds["separately"], seconds["together"])))
    # Separate decodes cut all three crops and keep one. Without what cropping costs them at all:
    alone = float(np.median(np.divide(seconds["decoding"], seconds["together"])))
    print()  # noqa: T201
    for name, values in seconds.items():
        print(f"{name:<12} {np.median(values):.3f} processor seconds per video")  # noqa: T201
    print(  # noqa: T201
        f"thirty separate views take {ratio:.1f} times as long; their decoding alone {alone:.1f} "
        "times as long as everything together"
    )
    benchmark.extra_info |= {"ratio": ratio, "decoding_alone": alone}
    assert alone >= AT_LEAST
