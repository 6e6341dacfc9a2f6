import dataclasses
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from evaluation_toys import NAMES, toy
from labelling_rows import assert_like, contents, needs_pyarrow, same_rows

import keras_tdn
from keras_tdn.data import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, RecordList, load_records
from keras_tdn.evaluation.evaluation import Evaluation
from keras_tdn.labelling import Labeller, LabelOptions, label_videos, read_labels
from keras_tdn.labelling.labeller import complete_row, read_rows, write_rows
from keras_tdn.labelling.labelling_run import list_videos
from keras_tdn.progress import Progress
from keras_tdn.scoring.scorer import average_views
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import ViewReader
from keras_tdn.specs import ViewSpec

# Compiled models: test_label_resuming.py.
pytestmark = pytest.mark.usefixtures("eager_models")
BAD = (1, 4)


@pytest.fixture(scope="module")
def labelled(run, records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    return run(records, folder), folder


class TestRows:
    def test_every_video_has_one_in_order(self, labelled, records):
        report, folder = labelled
        rows = list(read_labels(folder))
        assert [row["path"] for row in rows] == [record.path for record in records]
        assert [row["index"] for row in rows] == list(range(7))
        columns = ["index", "path", "labels", "label_indices", "scores", "error"]
        assert all(list(row) == columns for row in rows)
        assert (report.num_videos, report.num_kept, report.num_shards) == (7, 0, 3)
        assert report.videos_per_second > 0
        for place, row in enumerate(rows):
            if place in BAD:
                assert row["labels"] is row["scores"] is None
                assert row["path"] in row["error"]
            else:
                assert [NAMES[index] for index in row["label_indices"]] == row["labels"]
                assert row["scores"][0] >= row["scores"][1]
                assert row["error"] is None

    def test_what_lies_in_the_folder(self, labelled):
        report, folder = labelled
        assert {path.name for path in folder.iterdir()} == {
            "labelling.json",
            "failures.jsonl",
            *(f"labels-{number:06d}-of-000003.jsonl" for number in range(3)),
        }
        told = [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
        assert [failure["index"] for failure in told] == list(BAD)
        assert [failure["reason"] for failure in told] == [
            failure.reason for failure in report.failures
        ]
        assert "is empty" in told[1]["reason"]

    def test_one_view_is_predict_video(self, tdn, run, records, tmp_path):
        run(records, tmp_path, tdn, LabelOptions(top=3))
        for row in read_labels(tmp_path):
            if row["error"] is None:
                expected = keras_tdn.predict_video(tdn, row["path"], top=3)
                assert row["labels"] == [item.label for item in expected]
                # The same pixels, but for the one video whose frames are resized: there two kernels
                # round some to other sides. A softmax in double precision does not matter as much.
                resized = Path(row["path"]).name == "2.mp4"
                np.testing.assert_allclose(
                    row["scores"], [item.score for item in expected], rtol=0.02 if resized else 1e-5
                )

    def test_features_are_those_of_the_model_without_its_classifier(
        self, tdn, run, records, tmp_path
    ):
        options = LabelOptions(top=1, features=True, views=ViewSpec(2))
        run(records[:3], tmp_path, tdn, options)
        config = tdn.get_config() | {"include_top": False, "pooling": "avg", "labels": None}
        headless = keras_tdn.TDNResNet.from_config(config)
        for layer in headless.layers:
            if layer.weights:
                layer.set_weights(tdn.get_layer(layer.name).get_weights())
        one = Labeller(tdn, options)
        rows = list(read_labels(tmp_path))
        assert rows[1]["features"] is None
        read = ViewReader(options.scoring(), tdn.clip_spec).read
        for place in (0, 2):
            video = read(records[place])
            clips = np.stack([video.view(0), video.view(1)])
            expected = np.mean(headless(clips, training=False), axis=0)
            # The same convolutions in graphs that TensorFlow arranges differently.
            np.testing.assert_allclose(rows[place]["features"], expected, rtol=1e-4, atol=1e-6)
            assert one.scorer.num_values == 4 + len(expected)

    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="the inference graph is TensorFlow's"
    )
    def test_the_inference_graph_gives_the_same(self, tdn, records):
        read = ViewReader(ScoringOptions(), tdn.clip_spec).read
        clips = np.stack([read(records[place]).view(0) for place in (0, 2, 3, 5)])
        expected = Labeller(tdn, LabelOptions(features=True)).values(clips)
        # Sums in another order; and bfloat16 has eight bits.
        for dtype, features, tolerance in (("float32", True, 1e-4), ("bfloat16", False, 0.03)):
            options = LabelOptions(features=features, graph_dtype=dtype)
            values = Labeller(tdn, options).values(clips)
            wanted = expected if features else expected[:, :4]
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance * scale)

    def test_views_are_averaged_as_evaluation_does(self, model, run, records, tmp_path):
        views = ViewSpec(2, 3, clip_mode="random")
        good = load_records([(records[place].path, 0) for place in (0, 3)], labels=NAMES)
        scores = Evaluation(model, good, ScoringOptions(views, seed=5, batch_size=4)).scores(
            progress=False
        )
        for average in ("softmax", "logits"):
            options = LabelOptions(views=views, average=average, seed=5)
            run(good, tmp_path / average, options=options)
            (averaged,) = average_views(scores.view_scores, scores.kind, average)
            for row, expected in zip(read_labels(tmp_path / average), averaged, strict=True):
                order = np.argsort(-expected, kind="stable")
                assert row["label_indices"] == order.tolist()
                np.testing.assert_array_equal(row["scores"], expected[order].astype(np.float32))

    def test_nothing_depends_on_how_it_is_run(self, labelled, run, records, tmp_path):
        for number, (batch_size, num_workers) in enumerate(((1, 1), (7, 3))):
            folder = tmp_path / str(number)
            run(records, folder, batch_size=batch_size, num_workers=num_workers)
            assert_like(folder, labelled[1])

    def test_shards_of_any_size_hold_the_same_rows(self, labelled, run, records, tmp_path):
        for size in (1, 100):
            folder = tmp_path / str(size)
            run(records, folder, options=LabelOptions(top=2, videos_per_shard=size))
            assert same_rows(read_labels(folder), read_labels(labelled[1]))

    def test_without_names_classes_are_numbered(self, run, records, tmp_path):
        run(records[:1], tmp_path, toy(), LabelOptions(top=9))
        (row,) = read_labels(tmp_path)
        assert sorted(row["labels"]) == ["class 0", "class 1", "class 2"]


def test_rows_do_not_depend_on_where_videos_are_read(run, records, tmp_path):
    options = LabelOptions(top=2)
    run(records, tmp_path / "threads", options=options)
    run(records, tmp_path / "processes", options=options, num_workers=1, in_processes=True)
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes")


class TestLists:
    def test_folders_and_plain_lists(self, labelled, run, video_folder, paths, tmp_path):
        plain = tmp_path / "list.txt"
        plain.write_text("".join(f"{path}\n" for path in paths))
        for number, source in enumerate((video_folder, plain, paths)):
            run(source, tmp_path / str(number))
            assert contents(tmp_path / str(number)) == contents(labelled[1])

    def test_what_is_not_there_has_a_row(self, run, paths, tmp_path):
        plain = tmp_path / "list.txt"
        plain.write_text(f"none.mp4 1\n{paths[0]} 2\nneither.mp4 0\n{paths[0]} 2\n")
        report = run(plain, tmp_path / "out")
        rows = list(read_labels(tmp_path / "out"))
        assert [Path(row["path"]).name for row in rows] == [
            "none.mp4",
            "a 0.mp4",
            "neither.mp4",
            "a 0.mp4",
        ]
        assert [failure.index for failure in report.failures] == [0, 2]
        assert "there is no such file" in rows[0]["error"]
        np.testing.assert_array_equal(rows[1]["scores"], rows[3]["scores"])

    def test_packed_records(self, run, records, tmp_path):
        pack(
            [record.path for record in records[2:4]],
            tmp_path / "packed",
            quality=100,
            num_processes=1,
        )
        run(tmp_path / "packed", tmp_path / "out", options=LabelOptions(top=3))
        packed = load_packed(tmp_path / "packed")
        rows = list(read_labels(tmp_path / "out"))
        assert [row["path"] for row in rows] == [record.path for record in packed]
        run(records[2:4], tmp_path / "files", options=LabelOptions(top=3))
        for row, expected in zip(rows, read_labels(tmp_path / "files"), strict=True):
            # JPEG moves pixels by a level or two.
            np.testing.assert_allclose(row["scores"], expected["scores"], atol=0.02)
        with pytest.raises(ValueError, match="Packed records are read by threads of this process"):
            run(tmp_path / "packed", tmp_path / "processes", in_processes=True)

    def test_parts_keep_their_numbers(self, run, records, tmp_path):
        run(records[2:4], tmp_path)
        assert [row["index"] for row in read_labels(tmp_path)] == [2, 3]

    def test_what_is_no_list(self, tmp_path):
        (tmp_path / "readme.txt").write_text("")
        for source, message in (
            (tmp_path, r"no video in the folder .*--format"),
            (tmp_path / "none", "There is no list or folder"),
            (tmp_path / "readme.txt", "has no records"),
            ([], "has no records"),
            (RecordList([]), "nothing to label"),
            ([tmp_path / "a.mp4"], "None of the 1 files is there"),
            ([3], r"expected a record or \(path, label, num_frames\)"),
            (RecordList([Record("a", 0), Record("b", 0)]), "2 records with index 0"),
        ):
            with pytest.raises(ValueError, match=message):
                list_videos(source)


class TestFormats:
    @needs_pyarrow
    def test_parquet_has_the_same_rows(self, labelled, run, records, tmp_path):
        options = LabelOptions(top=2, format="parquet", videos_per_shard=4)
        run(records, tmp_path, options=options)
        assert same_rows(read_labels(tmp_path), read_labels(labelled[1]))

    @needs_pyarrow
    def test_columns_and_their_types(self, tmp_path):
        import pyarrow.parquet

        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(2, 9)).astype(np.float32) * np.float32(1e-7)
        record = Record("/a.mp4", None, index=3)
        good = {"labels": ["ü"], "label_indices": [2], "scores": vectors[0, :1]}
        rows = [
            complete_row(record, good | {"features": vectors[1]}),
            complete_row(record, None, "it is empty"),
        ]
        for format in ("jsonl", "parquet"):
            options = LabelOptions(features=True, format=format)
            write_rows(tmp_path / f"rows.{format}", rows, options)
            back = list(read_rows(tmp_path / f"rows.{format}"))
            assert same_rows(back, [rows[0], {**rows[1], "features": None}])
        table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
        assert dict(zip(table.column_names, map(str, table.schema.types), strict=True)) == {
            "index": "int64",
            "path": "string",
            "labels": "list<element: string>",
            "label_indices": "list<element: int32>",
            "scores": "list<element: float>",
            "features": "list<element: float>",
            "error": "string",
        }

    def test_the_extra_is_named(self, run, records, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ImportError, match=r'pip install "keras-tdn\[parquet\]"'):
            run(records, tmp_path / "out", options=LabelOptions(format="parquet"))
        assert not (tmp_path / "out").exists()

    @needs_pyarrow
    @pytest.mark.parametrize("format", ["jsonl", "parquet"])
    def test_any_file_name(self, run, tmp_path, format):
        names = ["ü\u2028\\\"'.mp4", "no text \udcff.mp4"]
        for name in names:
            (tmp_path / name).write_bytes(b"")
        options = LabelOptions(format=format)
        run([str(tmp_path / name) for name in names], tmp_path / "out", options=options)
        rows = list(read_labels(tmp_path / "out"))
        expected = names if format == "jsonl" else [names[0], "no text \\udcff.mp4"]
        assert [Path(row["path"]).name for row in rows] == expected
        assert all("is empty" in row["error"] for row in rows)

    def test_what_is_no_labelling(self, tmp_path):
        with pytest.raises(ValueError, match=r"has no labelling: there is no 'labelling\.json'"):
            read_labels(tmp_path)
        (tmp_path / ".labelling").mkdir()
        with pytest.raises(ValueError, match="is not finished; label the same list again"):
            read_labels(tmp_path)
        file = tmp_path / "labels.jsonl"
        file.write_text('{"scores": [0.5]}\n{"scores": [0')
        with pytest.raises(ValueError, match=r"Line 2 of .* is not a row of labels"):
            list(read_rows(file))

    @needs_pyarrow
    def test_what_is_no_parquet(self, tmp_path):
        (tmp_path / "labels.parquet").write_bytes(b"PAR1 no more than that")
        with pytest.raises(ValueError, match="is not a Parquet file of labels"):
            list(read_rows(tmp_path / "labels.parquet"))


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"top": 0}, "positive integer for `top`"),
            ({"videos_per_shard": True}, "positive integer for `videos_per_shard`"),
            ({"features": 1}, "True or False for `features`"),
            ({"views": "1x1"}, "The views are a ViewSpec"),
            ({"average": "mean"}, r"one of \['softmax', 'logits'\] for `average`"),
            ({"format": "csv"}, r"one of \['jsonl', 'parquet'\] for `format`"),
            ({"graph_dtype": "float16"}, "for `graph_dtype`"),
            ({"seed": 0.5}, "`seed` is an integer"),
        ],
    )
    def test_options(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            LabelOptions(**arguments)

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"batch_size": 0}, "positive integer for `batch_size`"),
            ({"num_workers": 1.5}, "positive integer for `num_workers`"),
            ({"labels": ["one"]}, "one label for each class"),
            ({"clip_spec": 3}, r"Pass `clip_spec=keras_tdn.ClipSpec\(\.\.\.\)`. Received: 3"),
            ({"in_processes": True, "time_limit": 0}, "`time_limit` is in seconds, above 0"),
            ({"in_processes": True, "decoder": object()}, "Pass the name of a decoder"),
            ({"decoder": "none"}, "none"),
        ],
    )
    def test_of_the_call(self, run, records, tmp_path, how, message):
        with pytest.raises(ValueError, match=message):
            run(records, tmp_path / "out", **how)

    def test_models_that_do_not_fit(self, model, tdn, run, records, tmp_path):
        graph = LabelOptions(graph_dtype="bfloat16")
        with pytest.raises(ValueError, match="The inference graph is of TDN models on the"):
            run(records, tmp_path, options=graph)
        for how in (
            {"from_logits": False},
            {"options": dataclasses.replace(graph, views=ViewSpec(crop_size=48))},
        ):
            with pytest.raises(ValueError, match="crops of the model's own size, 32x40"):
                run(records, tmp_path, tdn, **{"options": graph, **how})
        with pytest.raises(ValueError, match=r"not a TDN model.*--features"):
            run(records, tmp_path, options=LabelOptions(features=True))
        broken = toy()
        broken.get_layer("classifier").bias.assign([np.nan, 0, 0])
        with pytest.raises(ValueError, match="gives scores that are not finite"):
            run(records, tmp_path / "a", broken)
        with pytest.raises(ValueError, match="The model takes clips of shape"):
            run(records, tmp_path / "b", options=LabelOptions(), clip_spec=keras_tdn.ClipSpec())
        options = LabelOptions(average="logits")
        with pytest.raises(ValueError, match="Only logits can be averaged"):
            run(records, tmp_path / "c", options=options, from_logits=False)

    def test_folders_of_something_else(self, run, records, tmp_path):
        (tmp_path / "letter.txt").write_text("Dear")
        with pytest.raises(ValueError, match="has files that are not of a labelling"):
            run(records, tmp_path)
        with pytest.raises(ValueError, match=r"Cannot write labels into .*: (Not a dir|File exi)"):
            run(records, tmp_path / "letter.txt")

    def test_names_are_those_of_the_model(self, model, records, tmp_path):
        report = label_videos(model, records[:1], tmp_path, labels=["x", "y", "z"], progress=False)
        (row,) = read_labels(report.folder)
        assert set(row["labels"]) == {"x", "y", "z"}


def test_progress_counts_what_an_earlier_run_has_done(run, records, tmp_path, monkeypatch):
    shown = []

    class Shown(Progress):
        def __init__(self, title, total, **options):
            shown.append((title, total, options["done"]))
            super().__init__(title, total, **options)

        def update(self, done, total=None, **figures):
            shown.append((done, figures))

    monkeypatch.setattr("keras_tdn.labelling.labelling_run.Progress", Shown)
    run(records, tmp_path, progress=True)
    assert shown[0] == ("keras-tdn label", 7, 0)
    assert shown[-1] == (7, {"bad": 2})
    shown.clear()
    (tmp_path / "labels-000001-of-000003.jsonl").unlink()
    run(records, tmp_path, progress=True)
    assert shown[0] == ("keras-tdn label", 7, 4)
