import contextlib
import functools
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from evaluation_toys import toy
from forked_runs import once_and_often
from full_disk import disk_of
from labelling_rows import contents
from stopped_runs import StoppedError, Stopping

from keras_tdn.data.records import load_records
from keras_tdn.files.locks import locked
from keras_tdn.labelling import LabelOptions, label_videos, read_labels
from keras_tdn.labelling.label_folder import ShardMaker
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.specs import ClipSpec, ViewSpec

# 7 videos of 4 views in shards of 3 videos: 28 views in 7 batches, which go across shards.
OPTIONS = LabelOptions(top=2, views=ViewSpec(num_clips=4), videos_per_shard=3)
BATCH_SIZE = 5
# As killed_labelling.py has them.
KILLED = LabelOptions(views=ViewSpec(num_clips=4), videos_per_shard=2)
# Of six batches, all of which have views of videos that can be read.
BATCHES = 6
KILLED_RUNS = Path(__file__).with_name("killed_labelling.py")


@pytest.fixture
def label(run, records):
    def label(folder, **how):
        return run(records, folder, **{"options": OPTIONS, "batch_size": BATCH_SIZE, **how})

    return label


@pytest.fixture
def stop(monkeypatch):
    return Stopping(monkeypatch, Scorer, "score")


@pytest.fixture(scope="module")
def expected(run, records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    run(records, folder, options=OPTIONS, batch_size=BATCH_SIZE)
    return contents(folder)


def test_what_is_stopped_goes_on(label, expected, stop, tmp_path):
    done = 0
    for limit in (1, 2, 1):
        stop.after(limit)
        with pytest.raises(StoppedError):
            label(tmp_path)
        done += stop.calls
        with pytest.raises(ValueError, match="is not finished; label the same list again"):
            read_labels(tmp_path)
    stop.after(None)
    report = label(tmp_path, batch_size=BATCH_SIZE, num_workers=1)
    assert done + stop.calls == BATCHES
    assert report.num_kept >= 4
    assert contents(tmp_path) == expected
    # Once more there is nothing left to do.
    stop.after(0)
    report = label(tmp_path)
    assert (report.num_kept, report.videos_per_second) == (7, 0)
    assert contents(tmp_path) == expected


def test_killed_between_log_and_shard(label, expected, stop, monkeypatch, tmp_path):
    finish = ShardMaker._finish
    monkeypatch.setattr(ShardMaker, "_finish", lambda *_: (_ for _ in ()).throw(StoppedError))
    with pytest.raises(StoppedError):
        label(tmp_path)
    assert not list(tmp_path.glob("labels-*"))
    monkeypatch.setattr(ShardMaker, "_finish", finish)
    stop.after(None)
    assert label(tmp_path).num_kept == 3
    assert stop.calls < BATCHES
    assert contents(tmp_path) == expected


def test_what_is_damaged_is_made_again(label, expected, stop, tmp_path):
    label(tmp_path)
    shard = tmp_path / "labels-000001-of-000003.jsonl"
    for damaged in (shard.read_bytes()[:-1], None, shard.read_bytes().replace(b"0", b"1", 1)):
        shard.unlink()
        if damaged is not None:
            shard.write_bytes(damaged)
        stop.after(None)
        assert label(tmp_path).num_kept == 4
        # Twelve views, of two videos that can be read.
        assert stop.calls in (2, 3)
        assert contents(tmp_path) == expected
    (tmp_path / "labelling.json").write_text("{")
    (tmp_path / ".labelling").mkdir()
    assert label(tmp_path).num_kept == 0
    assert contents(tmp_path) == expected


def test_a_damaged_journal_counts_up_to_the_damage(label, expected, stop, tmp_path):
    stop.after(2)
    with pytest.raises(StoppedError):
        label(tmp_path)
    (journal,) = tmp_path.glob(".labelling/*.sqlite")
    with contextlib.closing(sqlite3.connect(journal)) as database:
        database.execute("UPDATE entries SET value = zeroblob(length(value)) WHERE key = 5")
        database.commit()
    stop.after(None)
    label(tmp_path)
    assert stop.calls == BATCHES - 1
    assert contents(tmp_path) == expected


def test_another_labelling_is_not_gone_on_with(run, model, records, label, stop, tmp_path):
    stop.after(3)
    with pytest.raises(StoppedError):
        label(tmp_path)
    stop.after(None)
    other = toy()
    other.labels = model.labels
    other.get_layer("classifier").bias.assign([0.0, 0.0, 1.0])
    for what, told in (
        ({"model": other}, "weights"),
        ({"labels": ["x", "y", "z"]}, "labels"),
        ({"options": LabelOptions(top=3)}, "options.top 2, now 3"),
        ({"clip_spec": ClipSpec(2, 3, 24, 30, 32)}, "clip.width 32, now 30"),
        ({"from_logits": False}, "scores 'logits', now 'probabilities'"),
    ):
        with pytest.raises(ValueError, match=f"was started with .*{told}.*--overwrite"):
            label(tmp_path, **what)
    with pytest.raises(ValueError, match="num_videos 7, now 6"):
        run(records[:6], tmp_path, options=OPTIONS)
    with (
        locked(tmp_path),
        pytest.raises(ValueError, match="Another process is writing labels into"),
    ):
        label(tmp_path)
    report = label(tmp_path, overwrite=True, options=LabelOptions(top=3, videos_per_shard=100))
    assert report.num_kept == 0
    assert {path.name for path in tmp_path.glob("labels-*")} == {"labels-000000-of-000001.jsonl"}


def test_bad_videos_can_be_tried_again(run, paths, tmp_path):
    moved = tmp_path / "moved.mp4"
    videos = load_records([(path, 0) for path in [paths[0], paths[2], paths[5]]])
    listed = [record.path for record in videos] + [str(moved)]
    options = LabelOptions(videos_per_shard=2)
    assert len(run(listed, tmp_path / "out", options=options).failures) == 1
    moved.write_bytes(Path(paths[6]).read_bytes())
    assert len(run(listed, tmp_path / "out", options=options).failures) == 1
    report = run(listed, tmp_path / "out", options=options, retry_failures=True)
    assert (report.num_kept, report.failures) == (2, ())
    run(listed, tmp_path / "fresh", options=options)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_trying_again_keeps_what_had_no_failure(run, paths, stop, tmp_path):
    """Of a run that has not come to its end: half a shard is kept, or begun anew for a failure."""
    # Three in each shard; in the second the file is not there yet.
    moved = tmp_path / "moved.mp4"
    listed = [paths[0], paths[2], paths[3], str(moved), paths[5], paths[6]]
    how = {"options": OPTIONS, "batch_size": 4}
    # Stopped in the first shard, and behind the failure in the second.
    for limit, kept in ((2, 2), (4, 3)):
        folder = tmp_path / str(limit)
        stop.after(limit)
        with pytest.raises(StoppedError):
            run(listed, folder, **how)
        moved.write_bytes(Path(paths[5]).read_bytes())
        stop.after(None)
        assert run(listed, folder, retry_failures=True, **how).failures == ()
        # Six videos of four views, a video in each batch.
        assert stop.calls == 6 - kept
        assert [row["error"] for row in read_labels(folder)] == [None] * 6
        moved.unlink()


def test_a_full_disk_is_told_and_gone_on_from(label, expected, tmp_path):
    # The plan does not fit, or the journal, or some of its entries.
    told = []
    for num_bytes in (100, 10_000, 40_000):
        with disk_of(num_bytes), pytest.raises(OSError) as error:  # noqa: PT011
            label(tmp_path)
        told.append(str(error.value))
    assert any("make room and run the same again" in text for text in told)
    label(tmp_path)
    assert contents(tmp_path) == expected


@once_and_often
def test_killed_at_any_moment_it_ends_the_same(forked_runs, paths, tmp_path, num_kills):
    rng = np.random.default_rng(11)
    reference = toy()

    def label(folder):
        label_videos(reference, paths, folder, KILLED, batch_size=2, progress=False)

    label(tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    assert [row["path"] for row in read_labels(tmp_path / "whole")] == paths
    for number in range(num_kills):
        folder = tmp_path / str(number)
        run = functools.partial(forked_runs.run, KILLED_RUNS, paths=paths, output=str(folder))
        # 20 views of videos that can be read, two in a batch.
        killed = {"batch": int(rng.integers(1, 11)), "delay": rng.uniform(0.001, 0.06)}
        assert run(**killed).status == -signal.SIGALRM
        assert not (folder / "labelling.json").exists()
        # One of them goes on to its end in a process of its own, too.
        if number == 0:
            assert run().status == 0
        else:
            label(folder)
        assert contents(folder) == whole
