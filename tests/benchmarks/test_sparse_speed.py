"""A few frames of a video, against decoding all of it, which is what is done without an index.

    pytest tests/benchmarks/test_sparse_speed.py -s

Both in one thread and timed in processor seconds, in turn on the same choices: five frames in a
row, and eight segments of five, of 300 frames of 340x256 with a keyframe every 60.
"""

import os
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from coded_videos import moving_frames
from kinetics_like import FPS, HEIGHT, NUM_FRAMES, WIDTH, random_segments

from keras_tdn.data.decoding import get_decoder, packet_index

CODECS = {
    "h264": ("libx264", {"preset": "medium", "g": "60"}),
    "hevc": ("libx265", {"preset": "fast", "x265-params": "log-level=none:keyint=60"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "g": "60", "b": "400k"}),
    "av1": ("libsvtav1", {"preset": "10", "g": "60"}),
}
# H.264 is not the slow one, and its pictures that none refers to are left out in segments too.
AT_LEAST = {"five in a row": 3.0, "segments": 1.0}
ROUNDS = 12


@pytest.fixture(scope="module", autouse=True)
def one_core():
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    yield
    os.sched_setaffinity(0, everything)


@pytest.fixture(scope="module", params=CODECS)
def video(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / f"{request.param}.mp4"
    name, options = CODECS[request.param]
    with av.open(str(path), "w") as output:
        stream = output.add_stream(name, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, pixels in enumerate(moving_frames(NUM_FRAMES, HEIGHT, WIDTH)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return str(path)


def five_in_a_row(num_frames, rng):
    return rng.integers(num_frames - 5) + np.arange(5)


@pytest.mark.parametrize("kind", AT_LEAST)
def test_a_few_frames(video, kind, monkeypatch, request):
    choose = five_in_a_row if kind == "five in a row" else random_segments
    decoder = get_decoder("pyav", num_threads=1)
    times = {"indexed": [], "sequential": []}
    for seed in range(ROUNDS):
        results = []
        for way, samples in times.items():
            with monkeypatch.context() as patch:
                if way == "sequential":
                    patch.setattr(packet_index, "_CODECS", {})
                rng = np.random.default_rng(seed)
                start = time.process_time()
                results.append(
                    decoder.read_frames(video, lambda count, rng=rng: choose(count, rng))
                )
                samples.append(time.process_time() - start)
        np.testing.assert_array_equal(*results)
    ratio = float(np.median(np.divide(times["sequential"], times["indexed"])))
    indexed, sequential = (1000 * np.median(samples) for samples in times.values())
    print(  # noqa: T201
        f"\n{request.node.callspec.id}: {indexed:.1f} processor milliseconds, {sequential:.1f} "
        f"without an index: {ratio:.2f} times"
    )
    assert ratio >= AT_LEAST[kind]
