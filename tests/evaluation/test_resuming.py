import contextlib
import errno
import json
import signal
import sqlite3
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow as tf
from evaluation_toys import NAMES, make_scores, toy
from forked_runs import MANY_KILLS
from full_disk import disk_of
from stopped_runs import StoppedError, Stopping

from keras_tdn.data.decoding import VideoDecodeError, get_decoder
from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation import evaluate, load_scores, report_on
from keras_tdn.evaluation.results_folder import ResultsFolder
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.scoring.scoring_run import ViewJournal
from keras_tdn.specs import ClipSpec, ViewSpec

VIEWS = ViewSpec(num_clips=3, num_crops=3)
KILLED_RUNS = Path(__file__).with_name("killed_runs.py")
OUTPUTS = ("scores.npz", "report.json", "report.html")
# 8 videos of 9 views in 18 batches of 4, three of which have views of bad videos alone.
BATCHES = 15


def run(model, records, folder, **options):
    return evaluate(model, records, VIEWS, batch_size=4, output=folder, progress=False, **options)


def content(folder):
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


@pytest.fixture
def stop(monkeypatch):
    return Stopping(monkeypatch, Scorer, "score")


@pytest.fixture(scope="module")
def expected(model, some_bad, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    run(model, some_bad, folder)
    return content(folder)


def test_what_is_stopped_goes_on(model, some_bad, expected, stop, tmp_path):
    done = 0
    for limit in (1, 3, 4):
        stop.after(limit)
        with pytest.raises(StoppedError):
            run(model, some_bad, tmp_path, resume=True)
        done += stop.calls
        assert {path.name for path in tmp_path.iterdir()} == {"scores.sqlite"}
    stop.after(None)
    run(model, some_bad, tmp_path, resume=True)
    assert done + stop.calls == BATCHES
    assert content(tmp_path) == expected
    # Once more there is nothing left to do.
    stop.after(0)
    run(model, some_bad, tmp_path, resume=True)
    assert content(tmp_path) == expected


def test_a_damaged_journal_counts_up_to_the_damage(model, some_bad, expected, stop, tmp_path):
    stop.after(12)
    with pytest.raises(StoppedError):
        run(model, some_bad, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "scores.sqlite")) as database:
        (count,) = database.execute("SELECT count(*) FROM entries WHERE key < 100").fetchone()
        database.execute("UPDATE entries SET value = zeroblob(length(value)) WHERE key = 20")
        database.commit()
    # Twelve batches that were scored, and those of bad videos alone among them.
    assert count >= 12
    stop.after(None)
    run(model, some_bad, tmp_path, resume=True)
    # 15 in all, and five before the damaged one, one of which had nothing to be scored.
    assert stop.calls >= BATCHES - 5
    assert content(tmp_path) == expected


def test_another_batch_size_may_go_on(model, some_bad, stop, tmp_path):
    stop.after(5)
    with pytest.raises(StoppedError):
        run(model, some_bad, tmp_path / "a")
    stop.after(None)
    evaluate(
        model, some_bad, VIEWS, batch_size=8, output=tmp_path / "a", resume=True, progress=False
    )
    run(model, some_bad, tmp_path / "b")
    one, other = load_scores(tmp_path / "a"), load_scores(tmp_path / "b")
    np.testing.assert_allclose(one.view_scores, other.view_scores, rtol=1e-5)


def test_a_video_that_has_become_unreadable_is_left_out_whole(model, some_bad, stop, tmp_path):
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(Path(some_bad[0].path).read_bytes())
    records = RecordList([Record(str(moved), 0), some_bad[2]], NAMES)
    stop.after(1)
    with pytest.raises(StoppedError):
        run(model, records, tmp_path / "results")
    moved.unlink()
    stop.after(None)
    report = run(model, records, tmp_path / "results", resume=True)
    assert (report.num_scored, report.num_listed) == (1, 2)
    assert "there is no such file" in report.failures[0].reason


class FailingDecoder:
    """PyAV, until it is told what to raise for one of the videos."""

    def __init__(self):
        self._decoder = get_decoder("pyav", num_threads=1)
        self.error = None

    def read_frames(self, source, choose_indices, size=None):
        if self.error is not None and "3.mp4" in str(source):
            raise self.error
        return self._decoder.read_frames(source, choose_indices, size)


def caused(error, cause):
    error.__cause__ = cause
    return error


PASSING = {
    "memory": MemoryError("no more"),
    "disk": OSError(errno.EIO, "Input/output error"),
    "files": OSError(errno.EMFILE, "Too many open files"),
    "listing": caused(ValueError("Cannot list"), OSError(errno.ENOMEM, "no more")),
    "decoder": caused(VideoDecodeError("Cannot read"), av.error.OSError(errno.EMFILE, "many")),
    "tensorflow": tf.errors.ResourceExhaustedError(None, None, "no more"),
}
OF_THE_VIDEO = {
    "gone": OSError(errno.ENOENT, "No such file"),
    "rights": PermissionError(errno.EACCES, "Permission denied"),
    "damage": caused(VideoDecodeError("Cannot read"), av.error.OSError(errno.EIO, "damaged")),
    "header": caused(VideoDecodeError("Cannot read"), av.error.MemoryError(errno.ENOMEM, "much")),
    "bug": RuntimeError("whatever"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_is_not_the_videos_fault_ends_the_run(model, videos, name, tmp_path):
    decoder = FailingDecoder()
    decoder.error = PASSING[name]
    with pytest.raises(type(decoder.error)):
        run(model, videos, tmp_path, decoder=decoder)
    decoder.error = None
    report = run(model, videos, tmp_path, decoder=decoder, resume=True)
    assert report.failures == ()


@pytest.mark.parametrize("name", OF_THE_VIDEO)
def test_what_is_the_videos_fault_does_not(model, videos, name):
    decoder = FailingDecoder()
    decoder.error = OF_THE_VIDEO[name]
    report = evaluate(model, videos, decoder=decoder, progress=False)
    assert [failure.index for failure in report.failures] == [3]


def test_another_version_may_go_on(model, some_bad, stop, tmp_path, monkeypatch):
    stop.after(3)
    with pytest.raises(StoppedError):
        run(model, some_bad, tmp_path)
    stop.after(None)
    told = {"keras_tdn": "99.1", "keras": "3.99"}
    monkeypatch.setattr("keras_tdn.evaluation.evaluation.versions", lambda: told)
    assert run(model, some_bad, tmp_path, resume=True).facts["versions"] == told
    monkeypatch.undo()
    # A finished run keeps those that it was computed with.
    assert run(model, some_bad, tmp_path, resume=True).facts["versions"] == told
    assert "keras_tdn 99.1, keras 3.99" in (tmp_path / "report.html").read_text()


def test_another_evaluation_is_not_gone_on_with(model, some_bad, stop, tmp_path):
    stop.after(3)
    with pytest.raises(StoppedError):
        run(model, some_bad, tmp_path)
    stop.after(None)
    other = toy()
    other.get_layer("classifier").bias.assign([0.0, 0.0, 1.0])
    relabelled = RecordList(
        [Record(record.path, 0, index=record.index) for record in some_bad], NAMES
    )
    spec = ClipSpec(2, 3, 24, 30, 32)
    for arguments, options, differing in (
        ((other, some_bad, VIEWS), {}, "weights"),
        ((model, relabelled, VIEWS), {}, "records"),
        ((model, some_bad[:7], VIEWS), {}, "records"),
        ((model, RecordList(some_bad, NAMES[::-1]), VIEWS), {}, "class_names"),
        ((toy(None), some_bad, VIEWS), {}, "weights"),
        ((model, some_bad, ViewSpec(num_clips=9)), {}, "views"),
        ((model, some_bad, VIEWS), {"clip_spec": spec}, "clip"),
        ((model, some_bad, VIEWS), {"seed": 1}, "seed"),
        ((model, some_bad, VIEWS), {"from_logits": False}, "scores"),
    ):
        with pytest.raises(ValueError, match=f"was started with {differing}"):
            evaluate(*arguments, output=tmp_path, resume=True, progress=False, **options)
    with pytest.raises(ValueError, match=r"has results already: scores\.sqlite\..*--resume"):
        run(model, some_bad, tmp_path)
    run(model, some_bad, tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="was started with weights"):
        run(other, some_bad, tmp_path, resume=True)
    with pytest.raises(ValueError, match="was started with class_names"):
        run(model, RecordList(some_bad, NAMES[::-1]), tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"scores\.npz, report\.json, report\.html"):
        run(model, some_bad, tmp_path)
    (tmp_path / "scores.sqlite").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is damaged or not a journal"):
        run(model, some_bad, tmp_path, resume=True)


def test_one_process_at_a_time(tmp_path):
    with (
        ViewJournal(tmp_path / "scores.sqlite", {}, 3, 1, 2),
        pytest.raises(ValueError, match="Another process is evaluating into"),
        ViewJournal(tmp_path / "scores.sqlite", {}, 3, 1, 2),
    ):
        pass


def test_a_running_evaluation_is_not_overwritten(model, some_bad, tmp_path):
    path = tmp_path / "scores.sqlite"
    (tmp_path / "report.json").write_text("{}")
    with ViewJournal(path, {}, 3, 1, 2) as running:
        running.append(np.ones((2, 2), np.float32), {})
        before = path.read_bytes()
        with pytest.raises(ValueError, match="Another process is evaluating into"):
            run(model, some_bad, tmp_path, overwrite=True)
        assert path.read_bytes() == before
        assert (tmp_path / "report.json").exists()
        # Nor are results written over its journal by a run that ended meanwhile.
        folder = ResultsFolder(tmp_path / "new")
        folder.path = tmp_path
        with pytest.raises(ValueError, match="Another process is evaluating into"):
            folder.write(None, report_on(make_scores(0)))
    run(model, some_bad, tmp_path, overwrite=True)
    assert not path.exists()


def test_what_a_kill_left_beside_the_results_is_removed(model, some_bad, expected, tmp_path):
    for options in ({"resume": True}, {"overwrite": True}):
        for name in ("scores.sqlite", *OUTPUTS):
            leftover = tmp_path / f".{name}.x1y2z3.tmp"
            leftover.mkdir()
            (leftover / "new").write_bytes(b"half")
        (tmp_path / ".other.npz.tmp").write_bytes(b"of someone else")
        run(model, some_bad, tmp_path, **options)
        assert {path.name for path in tmp_path.iterdir()} == {*OUTPUTS, ".other.npz.tmp"}
        assert content(tmp_path) == expected


def test_results_of_something_else_are_not_gone_on_with(model, some_bad, tmp_path):
    run(model, some_bad, tmp_path / "one")
    joined = ResultsFolder(tmp_path / "joined")
    joined.write(None, report_on(load_scores(tmp_path / "one")))
    before = (tmp_path / "joined" / "report.json").read_bytes()
    with pytest.raises(ValueError, match=r"report\.json, report\.html and no scores"):
        run(model, some_bad, tmp_path / "joined", resume=True)
    with pytest.raises(ValueError, match="and no folders of its models"):
        ResultsFolder(tmp_path / "joined", resume=True, of_ensemble=True)
    with pytest.raises(ValueError, match=r"scores\.npz, .* which are those of one model"):
        ResultsFolder(tmp_path / "one", resume=True, of_ensemble=True)
    assert (tmp_path / "joined" / "report.json").read_bytes() == before
    (tmp_path / "joined" / "model_1").mkdir()
    ResultsFolder(tmp_path / "joined", resume=True, of_ensemble=True)
    run(model, some_bad, tmp_path / "joined", overwrite=True)


def test_results_stay_until_the_new_ones_are_there(model, some_bad, stop, tmp_path):
    run(model, some_bad, tmp_path)
    before = content(tmp_path)
    stop.after(1)
    with pytest.raises(StoppedError):
        run(model, some_bad, tmp_path, overwrite=True)
    assert before.items() <= content(tmp_path).items()
    stop.after(None)
    run(model, some_bad, tmp_path, resume=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("num_bytes", [10, 40_000, 100_000])
def test_a_full_disk_is_reported_and_resumed_from(
    model, some_bad, expected, stop, tmp_path, num_bytes
):
    # The journal does not fit, some entries do, or all of them do.
    stop.after(None)
    with disk_of(num_bytes), contextlib.suppress(OSError):
        run(model, some_bad, tmp_path, resume=True)
        assert num_bytes == 100_000
    if num_bytes == 40_000:
        done = stop.calls
        assert 1 < done < BATCHES
        with disk_of(num_bytes), pytest.raises(OSError, match="make room and run the same again"):
            run(model, some_bad, tmp_path, resume=True)
        stop.after(None)
    run(model, some_bad, tmp_path, resume=True)
    assert num_bytes != 40_000 or stop.calls < BATCHES
    assert content(tmp_path) == expected


def killed_run(runs, records, folder, batch=None, delay=0.0):
    listed = [(record.path, record.label) for record in records]
    run = {"records": listed, "output": str(folder), "batch": batch, "delay": delay}
    return runs.run(KILLED_RUNS, **run).status


@pytest.mark.parametrize("num_kills", [MANY_KILLS])
def test_killed_at_any_moment_it_ends_the_same(forked_runs, some_bad, tmp_path, num_kills):
    """Three of ten times while results are written."""
    rng = np.random.default_rng(7)
    assert killed_run(forked_runs, some_bad, tmp_path / "whole") == 0
    expected = content(tmp_path / "whole")
    for number in range(num_kills):
        folder = tmp_path / str(number)
        if number % 10 < 7:
            # 30 batches, six of which have views of bad videos alone and are not scored.
            batch, delay = int(rng.integers(1, 25)), rng.uniform(0.001, 0.06)
        else:
            batch, delay = "writing", rng.uniform(0.001, 0.17)
        assert killed_run(forked_runs, some_bad, folder, batch, delay) == -signal.SIGALRM
        assert (folder / "scores.sqlite").exists()
        assert killed_run(forked_runs, some_bad, folder) == 0
        assert content(folder) == expected
        assert {path.name for path in folder.iterdir()} == set(OUTPUTS)
    assert json.loads(expected["report.json"])["num_scored"] == 6
