import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from forked_runs import once_and_often
from stopped_runs import StoppedError, Stopping
from streams import damage_packets
from watched import LABELS, small_model

from keras_tdn.watching import (
    Loss,
    SpanMerger,
    StreamOptions,
    WatchReport,
    Window,
    WindowLayout,
    load_timeline,
    plot_timeline,
    record_timeline,
    watch,
    write_timeline_page,
)
from keras_tdn.watching.timeline import LineWriter
from keras_tdn.watching.window_scorer import WindowScorer

KILLED_RUNS = Path(__file__).with_name("killed_runs.py")
NAMES = tuple(f"timeline.{kind}" for kind in ("jsonl", "csv", "srt", "vtt", "html"))
NUM_WINDOWS = 16


def record(model, video, folder, **options):
    options = {"window_seconds": 0.8, "progress": False, **options}
    return record_timeline(model, video, folder, **options)


def files(folder):
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def damaged(content, tmp_path_factory):
    """A video in which some windows are lost."""
    path = tmp_path_factory.mktemp("damaged") / "video.mp4"
    path.write_bytes(damage_packets(content, [60]))
    return path


@pytest.fixture(scope="module")
def expected(model, damaged, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    record(model, damaged, folder)
    return folder


@pytest.fixture
def stop(monkeypatch):
    return Stopping(monkeypatch, WindowScorer, "score")


def test_the_timeline_is_what_the_iterator_gives(model, damaged, expected):
    timeline = load_timeline(expected)
    with watch(model, damaged, window_seconds=0.8) as windows:
        for one, other in zip(timeline.windows(), windows, strict=True):
            assert (one.index, one.start, one.end) == (other.index, other.start, other.end)
            assert one.scores.tobytes() == other.scores.tobytes()
    assert timeline.labels == LABELS
    assert timeline.report == windows.report
    assert timeline.report.num_lost_windows == NUM_WINDOWS - timeline.report.num_windows > 0
    lines = (expected / "timeline.jsonl").read_text().splitlines()
    # Any reader of JSON lines can take it.
    assert [next(iter(json.loads(line))) for line in lines] == [
        "format", *["window"] * timeline.report.num_windows, "finished"
    ]  # fmt: skip


def test_table(expected):
    with open(expected / "timeline.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["start", "end", "best", "score", *LABELS]
    for row, window in zip(rows, load_timeline(expected).windows(), strict=True):
        np.testing.assert_array_equal(np.float32(row[4:]), window.scores)
        assert (float(row[0]), float(row[1])) == (window.start, window.end)
        assert row[2] == LABELS[window.scores.argmax()]
        assert np.float32(row[3]) == window.scores.max()


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_as_ffmpeg_reads_them(expected, kind):
    merger = SpanMerger(WindowLayout(4, 5, 0.8))
    windows = load_timeline(expected).windows()
    spans = [span for window in windows for span in merger.add(window)] + merger.finish()
    assert len(spans) >= 3
    with av.open(str(expected / f"timeline.{kind}")) as file:
        cues = [packet for packet in file.demux(file.streams.subtitles[0]) if packet.size]
    for cue, span in zip(cues, spans, strict=True):
        assert float(cue.pts * cue.time_base) == pytest.approx(span.start, abs=1e-3)
        assert float(cue.duration * cue.time_base) == pytest.approx(span.end - span.start, abs=2e-3)
        assert bytes(cue).decode().startswith(f"{LABELS[span.index]} ({span.score:.0%})")


def window_of(layout, index, best, score=0.6):
    scores = np.full(3, (1 - score) / 2, np.float32)
    scores[best] = score
    return Window(index, layout.window_start(index), layout.window_end(index), scores)


def test_neighbours_of_one_class_are_joined():
    layout = WindowLayout(4, 5, 2.0, stride=2)
    merger = SpanMerger(layout, min_score=0.5)
    spans = []
    # Windows 5 and 6 are lost, 8 is not sure enough.
    for index, best, score in (
        (0, 0, 0.6), (1, 0, 0.8), (2, 1, 0.6), (3, 1, 0.6), (4, 1, 0.6), (7, 1, 0.9), (8, 1, 0.4),
        (9, 2, 0.7), (10, 2, 0.7),
    ):  # fmt: skip
        spans += merger.add(window_of(layout, index, best, score))
    spans += merger.finish()
    assert [(span.start, span.end, span.index, span.num_windows) for span in spans] == [
        # A window speaks for the second around its middle, the first for all before.
        (0.0, 2.5, 0, 2),
        (2.5, 5.5, 1, 3),
        (7.5, 8.5, 1, 1),
        # And the last for all behind.
        (9.5, 12.0, 2, 2),
    ]
    assert spans[0].score == pytest.approx(0.7)
    assert merger.finish() == []


def test_page(expected, tmp_path):
    page = (expected / "timeline.html").read_text()
    assert all(f"fill: none; stroke: var(--{color})" in page for color in ("bar", "other"))
    ahead = {LABELS[window.scores.argmax()] for window in load_timeline(expected).windows()}
    assert len(ahead) >= 2
    assert all(label in page for label in ahead)
    assert "lost " in page
    assert "Invalid data found" in page
    # Also of a run that still goes on.
    (tmp_path / "timeline.jsonl").write_bytes(
        b"".join((expected / "timeline.jsonl").read_bytes().splitlines(True)[:4])
    )
    write_timeline_page(tmp_path, tmp_path / "page.html", title="<Now>")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;Now&gt;" in page
    assert "has not come to its end" in page


def test_figure(expected):
    (axes,) = plot_timeline(expected).axes
    windows = list(load_timeline(expected).windows())
    counts = np.bincount([window.scores.argmax() for window in windows])
    assert axes.get_xlim() == (0.0, windows[-1].end)
    assert axes.xaxis.get_major_formatter()(63.5) == "1:03.5"
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == [LABELS[at] for at in np.argsort(-counts, kind="stable") if counts[at]]
    best = LABELS.index(named[0])
    times, scores = axes.lines[0].get_data()
    seen = np.isfinite(scores)
    assert seen.sum() == len(windows) < len(seen)
    np.testing.assert_allclose(times[seen], [(each.start + each.end) / 2 for each in windows])
    np.testing.assert_allclose(scores[seen], [window.scores[best] for window in windows], rtol=1e-6)


def test_page_of_a_long_timeline(tmp_path):
    """Two days: curves and tables stay as long as they are, and so does the page."""
    layout = WindowLayout(4, 5, 8.0)
    identity = {
        "labels": ["a<b", "c", "d"], "weights": "0", "video": {"bytes": 1},
        "window_seconds": 8.0, "stride": 1, "clip": {"num_segments": 4, "frames_per_segment": 5},
    }  # fmt: skip
    rng = np.random.default_rng(0)
    num_windows = 0
    with contextlib.closing(LineWriter(tmp_path / "timeline.jsonl", identity)) as lines:
        for index in range(86_400):
            if index % 1000 > 100 and index % 25 == 0:
                num_windows += 1
                lines.add(window_of(layout, index, rng.integers(3)))
        lines.finish(WatchReport(1, 2, 3, 4.0, (Loss(1.0, 2.0, "noise"),), True))
    write_timeline_page(tmp_path, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert len(page) < 200_000
    assert f"and {num_windows - 200} more" in page
    assert "a&lt;b" in page
    assert "47:59:18" in page


def test_what_is_stopped_goes_on(model, damaged, expected, stop, tmp_path):
    done = 0
    for limit in (1, 4, 2):
        stop.after(limit)
        with pytest.raises(StoppedError):
            record(model, damaged, tmp_path, resume=True)
        done += stop.calls
        # What has been scored is on the disk, in every form that grows.
        assert len(list(load_timeline(tmp_path).windows())) == done
        assert len((tmp_path / "timeline.csv").read_text().splitlines()) == done + 1
    stop.after(None)
    report = record(model, damaged, tmp_path, resume=True)
    # Each window once, and the report is that of the whole.
    assert done + stop.calls == report.num_windows
    assert files(tmp_path) == files(expected)
    # Once more there is nothing left to do, but for another form.
    stop.after(0)
    (tmp_path / "timeline.vtt").unlink()
    assert record(model, damaged, tmp_path, resume=True) == report
    assert files(tmp_path) == files(expected)


def test_a_damaged_timeline_is_read_up_to_the_damage(model, damaged, expected, tmp_path):
    whole = (expected / "timeline.jsonl").read_bytes()
    shutil.copytree(expected, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "timeline.jsonl"
    start = whole.index(b"\n") + 1
    rng = np.random.default_rng(0)
    places = [start, start + 3, len(whole) - 1, *rng.integers(start, len(whole), 40)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        for broken in (whole[:place], bytes(flipped), whole[:place] + bytes(100)):
            file.write_bytes(broken)
            timeline = load_timeline(file)
            assert timeline.report is None
            assert len(list(timeline.windows())) == broken[:place].count(b"\n") - 1
    # A run writes it again from its journal.
    record(model, damaged, tmp_path, resume=True)
    assert files(tmp_path) == files(expected)


def test_another_run_is_not_gone_on_with(model, damaged, video, stop, tmp_path):
    stop.after(2)
    with pytest.raises(StoppedError):
        record(model, damaged, tmp_path)
    other = small_model()
    other.get_layer("classifier").bias.assign([0.0, 0.0, 1.0])
    for arguments, options, differing in (
        ((other, damaged), {}, "weights"),
        ((model, video), {}, "video"),
        ((model, damaged), {"window_seconds": 0.9}, "window_seconds"),
        ((model, damaged), {"stride": 2}, "stride"),
        ((model, damaged), {"labels": ["a", "b", "c"]}, "labels"),
    ):
        with pytest.raises(ValueError, match=f"was started with {differing}"):
            record(*arguments, tmp_path, resume=True, **options)
    with pytest.raises(ValueError, match=r"has results already: timeline\.jsonl.*--resume"):
        record(model, damaged, tmp_path)
    with pytest.raises(ValueError, match="one of `resume` and `overwrite`"):
        record(model, damaged, tmp_path, resume=True, overwrite=True)
    (tmp_path / "timeline.sqlite").write_text("something else\n")
    with pytest.raises(ValueError, match="is damaged or not a journal"):
        record(model, damaged, tmp_path, resume=True)
    (tmp_path / "timeline.sqlite").unlink()
    with pytest.raises(ValueError, match=r"but not timeline\.sqlite, which a run continues from"):
        record(model, damaged, tmp_path, resume=True)
    (tmp_path / "timeline.jsonl").write_text("something else\n")
    with pytest.raises(ValueError, match="is no timeline of this version"):
        load_timeline(tmp_path)
    with pytest.raises(ValueError, match=r"There is no timeline.*keras-tdn watch --output"):
        load_timeline(tmp_path / "nowhere")


def test_results_are_overwritten_by_what_can_be_watched(model, video, expected, tmp_path):
    """Whatever is wrong with the new run, the old results stay until it has a window."""
    folder = tmp_path / "out"
    shutil.copytree(expected, folder)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(damage_packets(video.read_bytes(), range(100)))
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 50)
    how = StreamOptions(format="lavfi")
    for source, options, told in (
        (tmp_path / "bad.mp4", {}, "it is not a video"),
        (damaged, {}, "not one of its frames decodes"),
        (tmp_path / "none.mp4", {}, "no such|There is no"),
        ("nonsense=1", {"how": how}, "Cannot watch"),
        (video, {"labels": ["a"]}, "has 1 names"),
        (video, {"window_seconds": 0.0}, "`window_seconds` is a number"),
        (video, {"outputs": ("pdf",)}, "`outputs` are some of"),
        (video, {"resume": True}, "one of `resume` and `overwrite`"),
    ):
        with pytest.raises(ValueError, match=told):
            record(model, source, folder, **{"overwrite": True, **options})
        assert files(folder) == files(expected)
    record(model, video, folder, overwrite=True)
    record(model, video, tmp_path / "fresh")
    assert files(folder) == files(tmp_path / "fresh")
    assert files(folder) != files(expected)


def test_a_folder_in_use_is_not_overwritten(model, video, expected, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(expected, folder)
    held = "import sys; from keras_tdn.files.locks import locked\n"
    held += "with locked(sys.argv[1], 'watching'): print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", held, str(folder)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        for options in ({"overwrite": True}, {"resume": True}):
            with pytest.raises(ValueError, match="Another process is watching into"):
                record(model, video, folder, **options)
        other.stdin.close()
    assert files(folder) == files(expected)
    record(model, video, folder, overwrite=True)
    assert load_timeline(folder).report.num_lost_windows == 0


def test_a_run_holds_its_folder(model, video, tmp_path, monkeypatch):
    score = WindowScorer.score
    refused = []

    def second_run(self, maps):
        monkeypatch.setattr(WindowScorer, "score", score)
        with pytest.raises(ValueError, match="Another process is watching into") as error:
            record(model, video, tmp_path, overwrite=True)
        refused.append(error)
        return score(self, maps)

    monkeypatch.setattr(WindowScorer, "score", second_run)
    assert record(model, video, tmp_path).num_windows == NUM_WINDOWS
    assert len(refused) == 1


def test_wrong_arguments(model, damaged, tmp_path):
    with pytest.raises(ValueError, match=r"`outputs` are some of.*'pdf'"):
        record(model, damaged, tmp_path, outputs=("csv", "pdf"))
    with pytest.raises(ValueError, match="`outputs` are some of"):
        record(model, damaged, tmp_path, outputs="csv")
    with pytest.raises(ValueError, match="have 3 classes and `labels` has 2 names"):
        record(model, damaged, tmp_path, labels=["a", "b"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"is a file\. Results go into a folder"):
        record(model, damaged, tmp_path / "file")
    how = StreamOptions(format="lavfi")
    with pytest.raises(ValueError, match="is no file, so that a run cannot continue"):
        record(model, "testsrc", tmp_path, resume=True, how=how)


def test_ctrl_c_ends_a_camera_and_interrupts_a_file(model, damaged, monkeypatch, tmp_path):
    score = WindowScorer.score

    count = 0

    def interrupted(self, maps):
        nonlocal count
        count += 1
        if count % 4 == 0:
            raise KeyboardInterrupt
        return score(self, maps)

    monkeypatch.setattr(WindowScorer, "score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record(model, damaged, tmp_path / "file")
    assert load_timeline(tmp_path / "file").report is None
    how = StreamOptions(format="lavfi", live=False)
    source = "testsrc=size=96x64:rate=25:duration=60"
    report = record(model, source, tmp_path / "camera", how=how)
    assert (report.num_windows, report.ending) == (3, "stopped")
    assert load_timeline(tmp_path / "camera").report == report
    assert "stopped" in (tmp_path / "camera" / "timeline.html").read_text()


def killed_run(runs, video, folder, window=None, delay=0.0):
    run = {"video": str(video), "output": str(folder), "window": window, "delay": delay}
    return runs.run(KILLED_RUNS, **run).status


@once_and_often
def test_killed_at_any_moment_it_ends_the_same(forked_runs, damaged, expected, tmp_path, num_kills):
    rng = np.random.default_rng(11)
    num_windows = load_timeline(expected).report.num_windows
    for number in range(num_kills):
        folder = tmp_path / str(number)
        window, delay = int(rng.integers(1, num_windows)), rng.uniform(0.001, 0.03)
        assert killed_run(forked_runs, damaged, folder, window, delay) == -signal.SIGALRM
        assert killed_run(forked_runs, damaged, folder) == 0
        assert files(folder) == files(expected)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_tells_the_speed(model, video, monkeypatch, tmp_path):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    record(model, video, tmp_path / "file", outputs=(), progress=True)
    told = terminal.getvalue().split("\r")[-1]
    assert re.search(r"4 of 4 s \[\d\d:\d\d, \d+\.\dx real time, (fall|get on|roll)\]", told)
    # Of an endless video there is nothing to go towards.
    terminal.truncate(0)
    how = StreamOptions(format="lavfi", live=False)
    source = "testsrc=size=96x64:rate=25:duration=2"
    record(model, source, tmp_path / "camera", outputs=(), progress=True, how=how)
    told = terminal.getvalue().split("\r")[-1]
    assert re.search(r"^2 s \[\d\d:\d\d, \d+\.\dx real time, (fall|get on|roll)\]", told)
    # And nothing is told where nobody looks, but for a line now and then.
    terminal.truncate(0)
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    record(model, video, tmp_path / "quiet", outputs=(), progress=True)
    assert terminal.getvalue().strip("\0") == ""
