import importlib
import sys
import time

import pytest
import tensorflow as tf
from synthetic_videos import HEIGHT, WIDTH, encode_audio, encode_video, numbered_frame

from keras_tdn.data import checking
from keras_tdn.data.browsing import browse_clips
from keras_tdn.data.checking import check_records
from keras_tdn.data.failures import read_failures
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.records import load_records
from keras_tdn.specs import ClipSpec

LABELS = ("Walk", "Jump, high", "Never seen")

# Stands in for what looks at files in a process.
UNRELIABLE = """
import os, signal, time

def make_checker(full, packed):
    def look_at(path, send):
        if "crash" in path:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hang" in path:
            time.sleep(60)
        return {"reason": "", "num_frames": 7}
    return look_at

def make_nothing(full, packed):
    raise SystemExit(3)
"""


@pytest.fixture
def unreliable(tmp_path, monkeypatch):
    (tmp_path / "unreliable.py").write_text(UNRELIABLE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("unreliable")
    del sys.modules["unreliable"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    video = encode_video(30)
    damaged = bytearray(video)
    start = video.index(b"mdat") + len(video) // 3
    damaged[start : start + 200] = bytes(200)
    contents = {
        "good ü.mp4": video,
        "empty.mp4": b"",
        "noise.mp4": b"noise" * 99,
        "sound.wav": encode_audio(),
        "cut short.mp4": video[: len(video) // 2],
        "damaged.mp4": bytes(damaged),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name, bad in (("frames", None), ("bad frames", 5)):
        (folder / name).mkdir()
        for number in range(20):
            content = tf.io.encode_jpeg(numbered_frame(number)).numpy()
            file = folder / name / f"{number:05d}.jpg"
            file.write_bytes(b"noise" if number == bad else content)
    return folder


def load(folder, names, **options):
    items = [(str(folder / name), number % 2) for number, name in enumerate(names)]
    return load_records(items, labels=LABELS, **options)


def test_reasons_and_figures(folder, tmp_path):
    names = ["good ü.mp4", "empty.mp4", "noise.mp4", "sound.wav", "cut short.mp4", "damaged.mp4",
             "frames", "bad frames"]  # fmt: skip
    steps = []
    records = load(folder, [*names, "gone.mp4"], skip_missing=True)
    report = check_records(records, num_processes=2, on_progress=steps.append)
    assert steps == list(report.files[:-1])
    reasons = {file.path[len(str(folder)) + 1 :]: file.reason for file in report.files}
    assert list(reasons) == [*names, "gone.mp4"]
    for name, reason in {
        "good ü.mp4": "",
        "empty.mp4": "the file is empty",
        "noise.mp4": "it is not a video",
        "sound.wav": "only audio",
        "cut short.mp4": "cut short before its index",
        "damaged.mp4": "",
        "frames": "",
        "bad frames": "00005.jpg",
        "gone.mp4": "there is no such file",
    }.items():
        assert reason in reasons[name]
        assert bool(reason) == bool(reasons[name]), name
    good = report.files[0]
    assert (good.num_frames, good.height, good.width, good.seconds) == (30, HEIGHT, WIDTH, 1.2)
    assert good.num_bytes == (folder / "good ü.mp4").stat().st_size
    assert (report.files[6].num_frames, report.files[6].seconds) == (20, None)
    assert report.class_counts == {"Walk": 2, "Jump, high": 1, "Never seen": 0}

    report.write_report(tmp_path / "bad.jsonl")
    assert [failure.path for failure in read_failures(tmp_path / "bad.jsonl")] == [
        file.path for file in report.bad
    ]
    report.write_good_list(tmp_path / "good.csv")
    again = load_records(tmp_path / "good.csv", labels=LABELS)
    assert [(record.path, record.label, record.num_frames) for record in again] == [
        (file.path, file.label, file.num_frames) for file in report.good
    ]


def test_full_finds_damage_that_plays(folder):
    report = check_records(load(folder, ["good ü.mp4", "damaged.mp4", "frames"]), full=True)
    assert [bool(file.reason) for file in report.files] == [False, True, False]
    assert "plays, but with damage" in report.bad[0].reason
    assert report.bad[0].num_frames


def test_packed_records(folder, tmp_path):
    records = load(folder, ["good ü.mp4", "frames"])
    pack(records, tmp_path, num_shards=2, num_processes=1, progress=False)
    packed = load_packed(tmp_path)
    report = check_records(packed, full=True, num_processes=1)
    assert report.bad == ()
    good = report.files[0]
    assert (good.path, good.num_frames, good.height, good.width) == (
        records[0].path,
        30,
        *(packed.packed[0].height, packed.packed[0].width),
    )
    (clip,) = browse_clips(packed, ClipSpec(2, 3, 48, 48, short_side=48), count=1)
    assert (clip.record.path, clip.num_frames, clip.reason) == (records[0].path, 30, "")
    shard = tmp_path / packed.packing.shards[1].name
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    report = check_records(load_packed(tmp_path, check_files=False), num_processes=1)
    assert [bool(file.reason) for file in report.files] == [False, True]
    assert "is damaged, or the shard" in report.bad[0].reason
    assert report.class_counts == {"Walk": 1, "Jump, high": 0, "Never seen": 0}


def test_crashes_and_hangs_are_reasons(unreliable, monkeypatch):
    monkeypatch.setattr(checking, "make_checker", unreliable.make_checker)
    names = ["a", "crash", "b", "hang", "c", "crash 2"]
    records = load_records([(f"/{name}.mp4", 0) for name in names], check_files=False)
    start = time.monotonic()
    report = check_records(records, num_processes=1, time_limit=2)
    assert time.monotonic() - start < 30
    reasons = [file.reason for file in report.files]
    assert [bool(reason) for reason in reasons] == [False, True, False, True, False, True]
    assert "crashes the decoder (signal SIGSEGV)" in reasons[1]
    assert "longer than 2 seconds" in reasons[3]
    assert report.class_counts == {"0": 3}


def test_processes_that_do_not_start(unreliable, monkeypatch, folder):
    monkeypatch.setattr(checking, "make_checker", unreliable.make_nothing)
    with pytest.raises(OSError, match=r"does not start \(exit status 3\)"):
        check_records(load(folder, ["good ü.mp4"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_processes": 0}, "`num_processes` must be a positive integer or None"),
        ({"time_limit": 0}, "`time_limit` is in seconds, above 0"),
    ],
)
def test_errors(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        check_records(load(folder, ["good ü.mp4"]), **arguments)
