"""Damaged videos neither crash nor hang the process, and never give wrong shapes.

Each is read in a process that may be lost. By default a few dozen; `KERAS_TDN_CORRUPT_VIDEOS=600`
reads that many.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from corruption import DAMAGES, damaged_videos
from real_videos import FIXTURES
from synthetic_videos import encode_video

REPOSITORY = Path(__file__).parents[2]
COUNT = int(os.environ.get("KERAS_TDN_CORRUPT_VIDEOS", "60"))
# Large fixtures take long to decode, damaged or not.
MAX_FIXTURE_BYTES = 1_000_000 if COUNT > 100 else 400_000
SECONDS_PER_VIDEO = 30
BATCH = 30

B_FRAMES = {"bf": "3", "g": "12"}
SYNTHETIC = [
    (".mp4", {"options": B_FRAMES}),
    (".mp4", {"options": {"g": "250", "slices": "4"}}),
    (".mkv", {"container": "matroska", "options": B_FRAMES}),
    (".avi", {"container": "avi", "codec": "mpeg4", "options": {"bf": "2"}}),
    (".avi", {"container": "avi", "codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    (".webm", {"container": "webm", "codec": "libvpx-vp9"}),
    (".gif", {"container": "gif", "codec": "gif", "pix_fmt": "rgb8"}),
    (".ts", {"container": "mpegts", "options": B_FRAMES}),
    (".mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
]

# Names what it is about to read: the last name of a lost process is the culprit.
READER = """
import json, sys, time
from pathlib import Path
import numpy as np
from keras_tdn.data.decoding import VideoDecodeError
from keras_tdn.data.decoding.pyav_decoder import PyAVDecoder

decoder = PyAVDecoder(num_threads=int(sys.argv[2]))
def choose(num_frames):
    return np.linspace(0, num_frames - 1, 40).astype(int)

for path in sys.argv[3:]:
    print(json.dumps([Path(path).name, "starts", 0]), flush=True)
    start = time.perf_counter()
    try:
        frames = decoder.read_frames(path, choose)
        result = "read" if frames.shape[0] == 40 and frames.ndim == 4 else "wrong shape"
    except VideoDecodeError as error:
        result = f"refused: {error}"
    print(json.dumps([Path(path).name, result, time.perf_counter() - start]), flush=True)
"""


def sound_videos():
    videos = [(suffix, encode_video(60, **options)) for suffix, options in SYNTHETIC]
    for path in FIXTURES:
        if path.stat().st_size < MAX_FIXTURE_BYTES:
            videos.append((path.suffix, path.read_bytes()))
    return videos


def read_batch(paths, num_threads):
    command = [sys.executable, "-c", READER, "reader", str(num_threads), *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS_PER_VIDEO * len(paths),
            check=False,
        )
        output, status, errors = process.stdout, process.returncode, process.stderr
    except subprocess.TimeoutExpired as expired:
        output, status, errors = (expired.stdout or b"").decode(), "hangs", ""
    lines = [json.loads(line) for line in output.splitlines()]
    assert status == 0, f"{lines[-1][0] if lines else paths[0]}: exit {status}. {errors[-2000:]}"
    return {name: (result, seconds) for name, result, seconds in lines if result != "starts"}


@pytest.mark.parametrize("num_threads", [1, 2] if COUNT > 100 else [1])
def test_damaged_videos_are_read_or_refused(num_threads, tmp_path):
    results = {}
    damaged = list(damaged_videos(sound_videos(), COUNT))
    for start in range(0, len(damaged), BATCH):
        paths = []
        for video in damaged[start : start + BATCH]:
            paths.append(tmp_path / video.name)
            paths[-1].write_bytes(video.content)
        results |= read_batch(paths, num_threads)
        for path in paths:
            path.unlink()
    assert len(results) == COUNT
    assert not [name for name, (result, _) in results.items() if result == "wrong shape"]
    assert not [name for name, (_, seconds) in results.items() if seconds > SECONDS_PER_VIDEO]
    refusals = {name: result for name, (result, _) in results.items() if result != "read"}
    assert all("\n" not in result for result in refusals.values())
    # Both happen, and a wrong suffix alone is no reason to refuse a video.
    assert 0.1 * COUNT < len(refusals) < 0.9 * COUNT
    assert all("_empty" in name for name, result in refusals.items() if "is empty" in result)
    slowest = max(results, key=lambda name: results[name][1])
    print(  # noqa: T201
        f"{COUNT} damaged videos, {num_threads} threads: {len(refusals)} refused; slowest "
        f"{slowest} {results[slowest][1]:.1f} s"
    )


def test_copies_are_made_from_the_seed_alone():
    videos = [(".mp4", bytes(range(256)) * 40)]
    first, again, other = (list(damaged_videos(videos, 24, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({video.name for video in first}) == 24
    assert {video.name.split("_", 1)[1].split(".")[0] for video in first} == {
        damage.__name__ for damage in DAMAGES
    }
