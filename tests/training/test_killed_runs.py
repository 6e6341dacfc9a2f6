"""Trainings that are killed at seeded moments and end as if they had not been.

One training is killed twice. With `KERAS_TDN_KILLS=10`, beside `KERAS_TDN_SLOW=1`, ten trainings of
the full network are killed once or twice each, by themselves or from outside.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic_videos

import keras_tdn
from keras_tdn.training.state_files import read_newest_state

KILLABLE_RUN = Path(__file__).with_name("killable_run.py")
NUM_RUNS = int(os.environ.get("KERAS_TDN_KILLS") or 0)
# The one run that there is by default is killed twice.
SEEDS = range(NUM_RUNS) if NUM_RUNS else (1,)
KINDS = ("step", "array", "file", "time")
# All that draws, averages or waits; a network without its modules takes less time to trace.
ARGUMENTS = (
    *("--stage-depths", "1,1,1,1", "--width", "8", "--segments", "2", "--size", "32"),
    *("--batch-size", "3", "--epochs", "4", "--ema", "0.9", "--label-smoothing", "0.1"),
    *("--mixup", "0.3", "--cutmix", "0.5", "--early-stopping", "9", "--save-every", "1"),
    *(() if NUM_RUNS else ("--no-short-term", "--no-long-term", "--no-shift")),
)
NOT_COMPARED = ("seconds", "share_waited")


def environment():
    root = Path(keras_tdn.__file__).parents[1]
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(root)}


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Eleven videos to train on, one of them damaged, and four to validate with."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(15):
        video = synthetic_videos.encode_video(10 + number, size=(48, 64), first=9 * number)
        (folder / f"{number}.mp4").write_bytes(video if number != 4 else b"no video")
    for name, numbers in (("train", range(11)), ("validate", range(11, 15))):
        lines = [f"{number}.mp4 {number % 3}\n" for number in numbers]
        (folder / f"{name}.txt").write_text("".join(lines))
    return folder


class Runs:
    """Starts trainings on the same videos."""

    def __init__(self, lists):
        self._arguments = [
            *("train", "--train-list", lists / "train.txt", "--val-list", lists / "validate.txt"),
            *ARGUMENTS,
        ]
        self.seconds = 0.0

    def start(self, output, kind="none", number=0):
        command = [sys.executable, KILLABLE_RUN, kind, str(number), *self._arguments]
        return subprocess.Popen(
            [*map(str, command), "--output", str(output), "--resume"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, output):
        """Runs to the end; how many moments of each kind there were."""
        process = self.start(output)
        wait_for_state(process, output)
        begun = time.monotonic()
        out, err = process.communicate()
        self.seconds = self.seconds or time.monotonic() - begun
        assert process.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    def kill_itself(self, output, kind, number):
        process = self.start(output, kind, number)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    def kill_after(self, output, seconds):
        """Kills from outside, some time after the first state is there."""
        process = self.start(output)
        wait_for_state(process, output)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL


def wait_for_state(process, output):
    while process.poll() is None and not list((output / "state").glob("*.npz")):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def runs(lists):
    return Runs(lists)


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """A training that nobody kills, and its moments."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, runs.finish(folder)


def outcome(folder):
    """All that a training leaves, but how long it took."""
    state = read_newest_state(folder / "state")
    arrays = {name: array.tobytes() for name, array in state.arrays.items()}
    del state.meta["members"]["InputTiming"]
    result = json.loads((folder / "result.json").read_text())
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "result.json" and path.parent.name != "state"
    }
    for name in NOT_COMPARED:
        del result[name]
    return arrays, state.meta, result, files


def assert_same(folder, other):
    for part, expected in zip(outcome(folder), outcome(other), strict=True):
        assert sorted(part) == sorted(expected)
        assert [name for name in part if part[name] != expected[name]] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_a_killed_training_ends_as_one_that_was_not(runs, whole, tmp_path, seed):
    expected, counts = whole
    folder = tmp_path / "run"
    rng = np.random.default_rng(seed)
    kinds = [KINDS[index] for index in rng.permutation(len(KINDS) if NUM_RUNS else 3)[:2]]
    # The second time there is less left to do: a moment that comes for certain.
    shares = (0.6 * rng.uniform(), 0.3 * rng.uniform()) if seed % 2 else (rng.uniform(),)
    for kind, share in zip(kinds, shares, strict=False):
        if kind == "time":
            kill_in_time(runs, folder, share)
        else:
            runs.kill_itself(folder, kind, 1 + int(share * counts[kind]))
        assert not (folder / "result.json").exists()
    runs.finish(folder)
    assert_same(folder, expected)


def kill_in_time(runs, folder, share):
    """Kills a run, earlier if it was faster than the one that was measured."""
    before = folder.with_name("before")
    if folder.exists():
        shutil.copytree(folder, before)
    while not runs.kill_after(folder, share * runs.seconds):
        shutil.rmtree(folder)
        if before.exists():
            shutil.copytree(before, folder)
        share *= 0.7
