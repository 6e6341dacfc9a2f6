"""Runs that are killed, with all their processes, at seeded moments.

`KERAS_TDN_KILLS=20` asks for so many moments.
"""

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
from keras_tdn.data.packing import load_packed_index, pack
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.locks import LOCK_FILE, locked

KILLED_PACKING = Path(__file__).with_name("killed_packing.py")
NUM_KILLS = int(os.environ.get("KERAS_TDN_KILLS", "8"))
# A run of six shards writes to the disk about 45 times.
EVENTS = (2, 9, 23, 43)
MORE_EVENTS = (1, 3, 4, 16, 30, 37, 40)
OPTIONS = {"num_shards": 6, "num_processes": 2, "max_failure_share": 0.5}


def environment():
    root = Path(keras_tdn.__file__).parents[1]
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(root)}


class Runs:
    """Runs of `pack` in process groups of their own."""

    def __init__(self, forked_runs, records):
        self._forked_runs = forked_runs
        self._request = {
            "records": [[record.index, record.path, record.label] for record in records],
            "labels": records.labels,
            "options": OPTIONS,
        }

    def run(self, output, **how):
        ended = self._forked_runs.run(KILLED_PACKING, output=str(output), **self._request, **how)
        wait_for_lock(output)
        return ended


def wait_for_lock(folder):
    """Forked workers, unlike spawned ones, hold their parent's lock until they are dead as well."""
    while folder.is_dir():
        try:
            with locked(folder):
                return
        except ValueError:
            time.sleep(0.001)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    videos = [synthetic_videos.encode_video(num_frames) for num_frames in (60, 40, 75)]
    for number in range(18):
        (folder / f"{number:02d}.mp4").write_bytes(videos[number % 3])
    (folder / "07.mp4").write_bytes(b"no video")
    return RecordList(
        [
            Record(str(path), index % 2, index=index)
            for index, path in enumerate(sorted(folder.iterdir()))
        ],
        ("a", "b"),
    )


@pytest.fixture(scope="module")
def expected(records, tmp_path_factory):
    """What one process writes that nobody kills."""
    folder = tmp_path_factory.mktemp("expected") / "out"
    pack(records, folder, **{**OPTIONS, "num_processes": 1}, progress=False)
    return contents(folder)


@pytest.fixture
def runs(forked_runs, records):
    return Runs(forked_runs, records)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_unfinished(folder, expected):
    """Whatever has its final name is complete."""
    for path in folder.glob("*.*"):
        if path.is_file() and path.name != LOCK_FILE:
            assert path.read_bytes() == expected[path.name]


@pytest.mark.slow
def test_killed_at_seeded_moments_it_ends_with_the_same_files(runs, records, expected, tmp_path):
    assert runs.run(tmp_path / "whole").status == 0
    # The second run measures: for the first, everything came from the disk.
    whole = runs.run(tmp_path / "again")
    assert contents(tmp_path / "again") == expected
    kept = set()
    for seed in range(NUM_KILLS):
        rng = np.random.default_rng(seed)
        folder = tmp_path / str(seed)
        kill_once(runs, folder, float(rng.uniform(0, whole.seconds)))
        check_unfinished(folder, expected)
        if rng.integers(2):
            # Once more on the way; this run may be done before its moment comes.
            runs.run(folder, kill_after=float(rng.uniform(0, whole.seconds)))
            check_unfinished(folder, expected)
        kept.add(len(list(folder.glob("*.tfrecord"))))
        assert runs.run(folder).status == 0
        assert contents(folder) == expected
        shutil.rmtree(folder)
    # The moments are spread over the run, or this would test little.
    assert len(kept) > min(3, NUM_KILLS // 4)


def kill_once(runs, folder, seconds):
    """Kills a run, earlier if it was faster than the one that was measured."""
    while (status := runs.run(folder, kill_after=seconds).status) != -signal.SIGKILL:
        assert status == 0
        shutil.rmtree(folder)
        seconds *= 0.7


@pytest.mark.parametrize(
    "event", [*EVENTS, *(pytest.param(event, marks=pytest.mark.slow) for event in MORE_EVENTS)]
)
def test_killed_between_two_writes(runs, expected, tmp_path, event):
    folder = tmp_path / "out"
    assert runs.run(folder, event=event).status == -signal.SIGKILL
    check_unfinished(folder, expected)
    assert runs.run(folder).status == 0
    assert contents(folder) == expected


def test_a_video_that_crashes_the_decoder_is_listed(runs, records, tmp_path):
    folder = tmp_path / "out"
    assert runs.run(folder, crash="10.mp4").status == 0
    index = load_packed_index(folder)
    assert index.num_records == 16
    assert [failure.index for failure in index.failures] == [7, 10]
    assert index.failures[1].reason == "2 processes ended with signal SIGSEGV while decoding it"


# Workers do not import it, so that it needs no `if __name__ == "__main__":`.
SCRIPT = """
import sys
from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, RecordList
folder, *paths = sys.argv[1:]
records = [Record(path, index % 2, index=index) for index, path in enumerate(paths)]
pack(RecordList(records, ("a", "b")), folder, num_shards=6, num_processes=2, max_failure_share=0.5)
"""


def test_spawned_workers_write_the_same_and_die_with_their_parent(records, expected, tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    paths = [record.path for record in records]
    process = subprocess.Popen(
        [sys.executable, script, folder, *paths],
        env=environment(),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(folder.glob("*.tfrecord")):
        time.sleep(0.005)
    # The parent alone: its workers notice.
    process.kill()
    process.wait()
    check_unfinished(folder, expected)
    deadline = time.monotonic() + 30
    while group_lives(process.pid):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    report = pack(records, folder, **{**OPTIONS, "num_processes": 1}, progress=False)
    assert report.num_kept_shards >= 1
    assert contents(folder) == expected


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
