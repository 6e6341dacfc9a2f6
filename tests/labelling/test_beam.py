import importlib.util
import os
import signal
import sys
from pathlib import Path

import crashing_reader
import keras
import numpy as np
import pytest
from labelling_rows import assert_like, needs_pyarrow
from real_videos import BEDFALL, NO_VIDEOS
from stopped_runs import StoppedError, Stopping

import keras_tdn
from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, load_records
from keras_tdn.labelling import (
    Labeller,
    LabelOptions,
    label_videos,
    label_with_beam,
    read_labels,
)
from keras_tdn.scoring import views as views_module
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.scoring.views import VideoViews
from keras_tdn.specs import ViewSpec

RUNNER = ["--runner=DirectRunner"]
KILLED_RUNS = Path(__file__).with_name("killed_beam.py")
NUM_KILLS = int(os.environ.get("KERAS_TDN_KILLS", "2"))


def test_the_extra_is_named(records, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "keras-tdn\[beam\]"'):
        label_with_beam("motion", records, tmp_path / "out")


def test_views_of_several_videos_share_batches(model):
    labeller = Labeller(model)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (2, 6, 24, 32, 3), np.uint8)
    videos = [
        VideoViews(list(crops[:count]), np.tile(np.arange(6), (clips, 1)))
        for count, clips in ((1, 1), (2, 2), (1, 1))
    ]
    values = labeller.values_of_videos(videos, 4)
    assert [len(part) for part in values] == [1, 4, 1]
    alone = [labeller.values_of_videos([video], 4)[0] for video in videos]
    for part, expected in zip(values, alone, strict=True):
        np.testing.assert_array_equal(part, expected)
    assert labeller.values_of_videos([], 4) == []


@pytest.fixture(scope="module")
def preset(tdn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "tdn"
    keras_tdn.pretrained.save_preset(tdn, folder, labels=tdn.labels)
    return folder


@pytest.fixture(scope="module")
def options():
    views = ViewSpec(num_clips=2, clip_mode="random")
    return LabelOptions(top=2, features=True, views=views, videos_per_shard=3, seed=4)


@pytest.fixture(scope="module")
def expected(preset, records, options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    model = keras_tdn.pretrained.load_preset(str(preset))
    label_videos(model, records, folder, options, batch_size=4, progress=False)
    return folder


@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="needs the extra keras-tdn[beam]"
)
class TestWithBeam:
    def test_the_direct_runner_writes_the_same_files(
        self, preset, records, options, expected, tmp_path, monkeypatch
    ):
        how = {"pipeline_options": RUNNER, "batch_size": 4}
        report = label_with_beam(str(preset), records, tmp_path, options, **how)
        assert (report.num_videos, report.num_kept, report.num_shards) == (7, 0, 3)
        assert [failure.index for failure in report.failures] == [1, 4]
        assert_like(tmp_path, expected)
        # It finishes what is there, and so does labelling without it.
        for again in (
            lambda: label_with_beam(str(preset), records, tmp_path, options, **how),
            lambda: label_videos(
                keras_tdn.pretrained.load_preset(str(preset)),
                records,
                tmp_path,
                options,
                batch_size=4,
                progress=False,
            ),
        ):
            (tmp_path / "labels-000001-of-000003.jsonl").unlink()
            assert again().num_kept == 4
            assert_like(tmp_path, expected)
        monkeypatch.setattr("apache_beam.Pipeline", None)
        assert label_with_beam(str(preset), records, tmp_path, options, **how).num_kept == 7
        assert_like(tmp_path, expected)

    def test_it_finishes_a_run_that_was_killed(
        self, preset, records, options, expected, tmp_path, monkeypatch
    ):
        stop = Stopping(monkeypatch, Scorer, "score")
        stop.after(2)
        model = keras_tdn.pretrained.load_preset(str(preset))
        with pytest.raises(StoppedError):
            label_videos(model, records, tmp_path, options, batch_size=4, progress=False)
        assert list(tmp_path.glob(".labelling/*.sqlite"))
        stop.after(None)
        label_with_beam(str(preset), records, tmp_path, options, batch_size=4)
        assert_like(tmp_path, expected)

    @pytest.mark.slow
    def test_killed_at_any_moment_it_ends_the_same(
        self, forked_runs, preset, paths, records, tmp_path
    ):
        """While videos are labelled or files written; `KERAS_TDN_KILLS` says how often."""
        arguments = {"top": 2, "videos_per_shard": 1}
        options = LabelOptions(**arguments)
        model = keras_tdn.pretrained.load_preset(str(preset))
        label_videos(model, records, tmp_path / "whole", options, batch_size=2, progress=False)
        rng = np.random.default_rng(3)
        num_kept = []
        for number in range(NUM_KILLS):
            output = tmp_path / str(number)
            run = {"preset": str(preset), "paths": paths, "output": str(output)}
            run["options"] = arguments
            moment = ("file", "model")[number % 2]
            # Three batches of the five videos that can be read, seven files.
            nth = int(rng.integers(1, {"file": 8, "model": 4}[moment]))
            delay = rng.uniform(0, 0.02)
            killed = forked_runs.run(KILLED_RUNS, **run, moment=moment, number=nth, delay=delay)
            assert killed.status == -signal.SIGKILL
            assert not (output / "labelling.json").exists()
            num_kept.append(len(list(output.glob("labels-*"))))
            # One of them goes on to its end in a process of its own, too.
            if number == 0:
                assert forked_runs.run(KILLED_RUNS, **run).status == 0
            else:
                label_with_beam(str(preset), records, output, options, batch_size=2)
            assert_like(output, tmp_path / "whole")
        assert max(num_kept) > 0

    def test_a_file_that_crashes_the_decoder_costs_itself_alone(
        self, preset, records, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(views_module, "make_view_reader", crashing_reader.make_view_reader)
        how = {"pipeline_options": RUNNER, "in_processes": True}
        report = label_with_beam(str(preset), records[:3], tmp_path / "beam", **how)
        (failure,) = report.failures
        assert failure.index == 1
        assert "crashes the decoder (exit status 11)" in failure.reason
        monkeypatch.undo()
        label_with_beam(str(preset), records[:3], tmp_path / "here")
        rows = [list(read_labels(tmp_path / name)) for name in ("beam", "here")]
        for one, other in zip(*rows, strict=True):
            assert one["index"] == 1 or one["labels"] == other["labels"]

    def test_a_transform_for_pipelines_of_ones_own(
        self, preset, records, options, expected, tmp_path
    ):
        import apache_beam as beam

        from keras_tdn.labelling.beam_transform import LabelVideos

        with beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(RUNNER)) as run:
            _ = (
                run
                | beam.Create([(record.index, record) for record in records])
                | LabelVideos(str(preset), options, batch_size=4)
                | beam.MapTuple(lambda key, row: (key, row["index"], row["path"], row["error"]))
                | beam.Map(repr)
                | beam.io.WriteToText(str(tmp_path / "rows"))
            )
        lines = "".join(path.read_text() for path in sorted(tmp_path.glob("rows*"))).splitlines()
        rows = list(read_labels(expected))
        told = [(row["index"], row["index"], row["path"], row["error"]) for row in rows]
        assert sorted(lines) == sorted(map(repr, told))

    @needs_pyarrow
    def test_parquet(self, preset, records, tmp_path):
        options = LabelOptions(format="parquet", videos_per_shard=4)
        label_with_beam(str(preset), records, tmp_path / "beam", options)
        model = keras_tdn.pretrained.load_preset(str(preset))
        label_videos(model, records, tmp_path / "here", options, progress=False)
        assert_like(tmp_path / "beam", tmp_path / "here")

    def test_the_model_from_a_function_or_a_file(self, tdn, records, tmp_path):
        tdn.save(tmp_path / "tdn.keras")
        for number, model in enumerate((str(tmp_path / "tdn.keras"), lambda: tdn)):
            label_with_beam(model, records[:1], tmp_path / str(number), clip_spec=tdn.clip_spec)
        assert_like(tmp_path / "0", tmp_path / "1")

    def test_on_the_command_line(self, preset, video_folder, tmp_path, capsys):
        from keras_tdn.cli import main

        command = ["label", str(video_folder)]
        weights = ["--weights", str(preset)]
        assert main([*command, str(tmp_path / "beam"), *weights, "--beam", *RUNNER]) == 0
        assert "videos  7\n" in capsys.readouterr().out
        assert main([*command, str(tmp_path / "here"), *weights]) == 0
        assert_like(tmp_path / "beam", tmp_path / "here")

    def test_what_cannot_be_sent(self, tdn, preset, records, tmp_path):
        for model in (tdn, 3):
            with pytest.raises(ValueError, match="Workers load the model themselves"):
                label_with_beam(model, records, tmp_path)
        with pytest.raises(ValueError, match="`time_limit` is in seconds, above 0"):
            label_with_beam(str(preset), records, tmp_path / "out", time_limit=0)
        pack([record.path for record in records[2:3]], tmp_path / "packed", num_processes=1)
        with pytest.raises(ValueError, match="Packed records are read by threads"):
            label_with_beam(str(preset), tmp_path / "packed", tmp_path / "out")
        with pytest.raises(ValueError, match="positive integer for `batch_size`"):
            label_with_beam(str(preset), records, tmp_path / "out", batch_size=0)

    def test_another_model_on_a_worker_is_refused(self, tdn, preset, records, tmp_path):
        other = keras.models.clone_model(tdn)
        other.clip_spec = tdn.clip_spec
        models = iter([tdn, other, other, other, other])
        with pytest.raises(ValueError, match=r"pipeline failed: (?s:.*)has loaded another model"):
            label_with_beam(lambda: next(models), records, tmp_path)

    def test_a_full_disk_is_told(self, preset, records, tmp_path, monkeypatch):
        def full(*arguments):
            raise OSError("No space left on device")

        monkeypatch.setattr("keras_tdn.labelling.label_folder.write_rows", full)
        with pytest.raises(ValueError, match=r"pipeline failed: (?s:.*)No space left on device"):
            label_with_beam(str(preset), records, tmp_path)

    def test_a_folder_that_is_not_shared_is_told(self, preset, records, tmp_path, monkeypatch):
        monkeypatch.setattr("keras_tdn.labelling.beam._write", lambda *_: None)
        with pytest.raises(ValueError, match=r"1 of 1 shards are not in .* share"):
            label_with_beam(str(preset), records, tmp_path)

    @pytest.mark.skipif(not BEDFALL.is_dir(), reason=NO_VIDEOS)
    def test_real_videos(self, tmp_path):
        """All 170 videos of two real lists, with the model that comes with the package."""
        options = LabelOptions(videos_per_shard=60)
        lists = [load_records(BEDFALL / f"{name}.txt") for name in ("train", "validate")]
        records = load_records([(record.path, record.label) for part in lists for record in part])
        model = keras_tdn.pretrained.load_preset("motion")
        label_videos(model, records, tmp_path / "here", options, progress=False)
        report = label_with_beam("motion", records, tmp_path / "beam", options)
        assert (report.num_videos, report.failures) == (170, ())
        assert_like(tmp_path / "beam", tmp_path / "here")
        first = next(read_labels(tmp_path / "here"))
        assert first["path"] == records[0].path


def test_bedfall_has_a_row_for_each(tmp_path):
    """Without Beam: a few real videos, whose first scores are those of `predict_video`."""
    if not BEDFALL.is_dir():
        pytest.skip(NO_VIDEOS)
    model = keras_tdn.pretrained.load_preset("motion")
    records = load_records(BEDFALL / "validate.txt")[:6]
    report = label_videos(model, records, tmp_path, progress=False)
    assert report.failures == ()
    for record, row in zip(records, read_labels(tmp_path), strict=True):
        assert (row["path"], row["error"]) == (record.path, None)
        expected = keras_tdn.predict_video(model, Record(record.path, None).path)
        assert row["labels"] == [item.label for item in expected]
        # A pixel in some thousand is rounded to the other side by another resize kernel.
        np.testing.assert_allclose(row["scores"], [item.score for item in expected], atol=1e-3)
