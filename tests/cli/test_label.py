import json

import pytest
from labelling_rows import contents, same_rows
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.cli import loading, main
from keras_tdn.labelling import LabelOptions, LabelReport, label_videos, read_labels
from keras_tdn.specs import ViewSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos, of which one is bad."""
    folder = tmp_path_factory.mktemp("label")
    for number in range(3):
        (folder / f"{number}.mp4").write_bytes(encode_video(20 + 9 * number))
    (folder / "bad.mp4").write_bytes(b"")
    (folder / "list.txt").write_text("0.mp4 1\n1.mp4 0\nbad.mp4 0\n2.mp4 1\n")
    return folder


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """The model that comes with the package, loaded and compiled once."""
    monkeypatch.setattr(loading, "load_model", lambda args, labels: MODELS[args.weights])


MODELS = {}


@pytest.fixture(scope="module", autouse=True)
def motion():
    MODELS["motion"] = keras_tdn.pretrained.load_preset("motion")
    yield MODELS["motion"]
    MODELS.clear()


def command(folder, output, *options, name="list.txt"):
    return ["label", str(folder / name), str(output), "--weights", "motion", *options]


def test_a_list(folder, motion, tmp_path, capsys):
    options = ("--top", "2", "--features", "--views", "2x1", "--videos-per-shard", "3")
    how = ("--batch-size", "2", "--workers", "1")
    assert main(command(folder, tmp_path / "out", *options, *how)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "videos  4"
    assert told[1] == "files   2"
    assert "videos/s" in told[2]
    assert told[3] == f"Wrote {tmp_path / 'out'}"
    assert told[4].startswith("Cannot be read: 1 videos")
    assert "bad.mp4" in told[5]
    assert "is empty" in told[5]
    expected = LabelOptions(2, True, ViewSpec(2), videos_per_shard=3)
    label_videos(
        motion, folder / "list.txt", tmp_path / "python", expected, batch_size=2, progress=False
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "python")
    rows = [
        json.loads(line)
        for line in (tmp_path / "out")
        .joinpath("labels-000000-of-000002.jsonl")
        .read_text()
        .splitlines()
    ]
    assert len(rows[0]["features"]) == motion.width * 32
    assert rows[0]["labels"][0] in motion.labels
    # The same again is asked for, and has nothing to do; something else is refused.
    assert main(command(folder, tmp_path / "out", *options)) == 2
    assert "has results already. Pass --resume to continue" in capsys.readouterr().err
    assert main(command(folder, tmp_path / "out", *options, "--resume")) == 0
    assert capsys.readouterr().out.startswith("videos  4, 4 of them labelled before\n")
    assert main(command(folder, tmp_path / "out", "--resume")) == 2
    assert (
        "was started with options.features True, now False; options.top 2, now 5"
        in capsys.readouterr().err
    )
    again = ("--features", "--batch-size", "2", "--overwrite", "--retry-failures")
    assert main(command(folder, tmp_path / "out", *again)) == 0
    assert len(next(iter(read_labels(tmp_path / "out")))["labels"]) == 5


def test_a_folder(folder, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"motion {number}\n" for number in range(12)))
    for name, output in (("list.txt", "list"), (".", "folder")):
        arguments = command(folder, tmp_path / output, "--labels", str(labels), name=name)
        assert main(arguments) == 0
    rows = {row["path"]: row for row in read_labels(tmp_path / "folder")}
    assert [path.rsplit("/", 1)[1] for path in rows] == ["0.mp4", "1.mp4", "2.mp4", "bad.mp4"]
    for row in read_labels(tmp_path / "list"):
        other = rows[row["path"]]
        assert same_rows([row], [other | {"index": row["index"]}])
        assert row["error"] or row["labels"][0].startswith("motion ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--views", "three"), "--views is CLIPSxCROPS"),
        (("--time-limit", "3"), "--time-limit is for --in-processes"),
        (("--top", "0"), "positive integer for `top`"),
        (("--batch-size", "0"), "positive integer for `batch_size`"),
        (("--workers", "2", "--beam"), "--workers is for labelling without"),
    ],
)
def test_errors(folder, tmp_path, capsys, options, message):
    assert main(command(folder, tmp_path / "out", *options)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        (
            ("--in-processes", "--time-limit", "9", "--graph-dtype", "bfloat16"),
            "label_videos",
            {"in_processes": True, "time_limit": 9.0, "num_workers": None, "batch_size": 8},
        ),
        (
            ("--retry-failures", "--beam", "--runner=DirectRunner", "--streaming"),
            "label_with_beam",
            {"pipeline_options": ["--runner=DirectRunner", "--streaming"], "retry_failures": True},
        ),
    ],
)
def test_what_is_handed_on(folder, tmp_path, monkeypatch, options, name, expected):
    calls = []

    def label(model, videos, output, options, **how):
        calls.append((model, videos, options, how))
        return LabelReport(output, len(videos), 0, 1, (), 2.0)

    monkeypatch.setattr(f"keras_tdn.labelling.{name}", label)
    assert main(command(folder, tmp_path / "out", *options)) == 0
    ((model, videos, given, how),) = calls
    assert len(videos) == 4
    assert expected.items() <= how.items()
    assert given.graph_dtype == ("bfloat16" if name == "label_videos" else None)
    assert (model() if name == "label_with_beam" else model) is MODELS["motion"]


def test_missing_videos_are_rows_or_left_out(folder, tmp_path):
    # Labelling does not ask how many classes a list has.
    (tmp_path / "list.txt").write_text(f"{folder / '0.mp4'} 5000\n{tmp_path / 'gone.mp4'} 0\n")
    for options, errors in (((), [False, True]), (("--skip-missing",), [False])):
        output = str(tmp_path / f"out {len(options)}")
        arguments = ["label", str(tmp_path / "list.txt"), "--weights", "motion"]
        assert main([*arguments, "--output", output, *options]) == 0
        assert [bool(row["error"]) for row in read_labels(output)] == errors


def test_a_list_that_is_not_there(folder, tmp_path, capsys):
    assert main(command(folder, tmp_path / "out", name="none.txt")) == 2
    assert "There is no list or folder" in capsys.readouterr().err
