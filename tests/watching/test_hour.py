"""An hour of video in the memory of a minute: `KERAS_TDN_HOUR=1` watches it, in minutes."""

import gc
import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from watched import small_model

from keras_tdn.files.journal import Journal
from keras_tdn.watching import load_timeline, record_timeline

RATE = 25
SECONDS = 3600
WIDTH, HEIGHT = 96, 64
# The allocator takes and gives back blocks of this size now and then.
ROOM_BYTES = 24 * 2**20


def render(path):
    """A bar that wanders and turns its colour; a key frame every minute."""
    with av.open(str(path), "w") as output:
        options = {"preset": "ultrafast", "g": str(60 * RATE), "sc_threshold": "0"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        for number in range(RATE * SECONDS):
            planes[:HEIGHT] = 60
            left = int((np.sin(number / 40) + 1) * (WIDTH - 20) / 2)
            planes[:HEIGHT, left : left + 20] = 100 + number // RATE % 120
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def memory():
    """Bytes of this process in memory now, and the most there were."""
    import resource

    now = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return now, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture
def usual_collection():
    """Other tests have Python's collector run less often, which lets cycles pile up here."""
    thresholds = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.skipif(
    os.environ.get("KERAS_TDN_HOUR") != "1" or not Path("/proc/self/statm").exists(),
    reason="takes minutes, and Linux: KERAS_TDN_HOUR=1 watches an hour of video",
)
def test_an_hour_in_the_memory_of_a_minute(tmp_path, monkeypatch, usual_collection):
    render(tmp_path / "hour.mp4")
    put = Journal.put
    samples = {}

    def sampled(self, key, value):
        put(self, key, value)
        if key % 60 == 0:
            samples[key] = memory()

    monkeypatch.setattr(Journal, "put", sampled)
    start = time.monotonic(), time.process_time()
    report = record_timeline(
        small_model(), tmp_path / "hour.mp4", tmp_path / "out", window_seconds=4.0, progress=False
    )
    wall, cpu = time.monotonic() - start[0], time.process_time() - start[1]
    assert report.num_frames == RATE * SECONDS
    assert report.num_windows == SECONDS - 3
    assert report.losses == ()
    # Windows begin every second: one a minute was sampled.
    early, late = samples[120], samples[max(samples)]
    print(  # noqa: T201
        f"\n{wall:.0f} s, {cpu:.0f} processor seconds; resident after 2 minutes of video "
        f"{early[0] / 2**20:.0f} MiB (peak {early[1] / 2**20:.0f}), after an hour "
        f"{late[0] / 2**20:.0f} MiB (peak {late[1] / 2**20:.0f})"
    )
    assert late[0] <= early[0] + ROOM_BYTES
    assert late[1] <= early[1] + ROOM_BYTES
    assert sum(1 for _ in load_timeline(tmp_path / "out").windows()) == report.num_windows
