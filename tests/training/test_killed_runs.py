"""Trainings that are killed at seeded moments and end as if they had not been.

One training is killed twice. With `KERAS_TDN_KILLS=10`, beside `KERAS_TDN_SLOW=1`, ten trainings of
the full network are killed once or twice each, in front of a moment or after some time.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import synthetic_videos

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
# Of itself, and when its time was up.
KILLED = (-signal.SIGKILL, -signal.SIGALRM)
NOT_COMPARED = ("seconds", "share_waited")


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
    """Trainings on the same videos."""

    def __init__(self, forked_runs, lists):
        self._forked_runs = forked_runs
        self._arguments = [
            *("train", "--train-list", lists / "train.txt", "--val-list", lists / "validate.txt"),
            *ARGUMENTS,
        ]
        self.seconds = 0.0

    def run(self, output, **kill):
        arguments = [*map(str, self._arguments), "--output", str(output), "--resume"]
        return self._forked_runs.run(KILLABLE_RUN, arguments=arguments, **kill)

    def finish(self, output):
        """Runs to the end; how many moments of each kind there were."""
        ended = self.run(output)
        assert ended.status == 0, ended.output
        self.seconds = self.seconds or ended.value["seconds"]
        return ended.value["counts"]

    def kill(self, output, kind, number):
        return self.run(output, kind=kind, number=number).status in KILLED


@pytest.fixture(scope="module")
def runs(forked_runs, lists):
    return Runs(forked_runs, lists)


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
            assert runs.kill(folder, kind, 1 + int(share * counts[kind]))
        assert not (folder / "result.json").exists()
    runs.finish(folder)
    assert_same(folder, expected)


def kill_in_time(runs, folder, share):
    """Kills a run, earlier if it was faster than the one that was measured."""
    before = folder.with_name("before")
    if folder.exists():
        shutil.copytree(folder, before)
    while not runs.kill(folder, "time", share * runs.seconds):
        shutil.rmtree(folder)
        if before.exists():
            shutil.copytree(before, folder)
        share *= 0.7
