import sys

import pytest
import synthetic_videos

from keras_tdn import cli
from keras_tdn.data.packing import load_packed_index


@pytest.fixture
def listed(tmp_path):
    for number in range(4):
        content = synthetic_videos.encode_video(5 + number)
        (tmp_path / f"{number}.mp4").write_bytes(content)
    (tmp_path / "3.mp4").write_bytes(b"")
    lines = [f"{number}.mp4 {number % 2}\n" for number in range(4)]
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path / "list.txt"


def run(capsys, *arguments):
    status = cli.main(["pack", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_packs_and_reports(capsys, listed, tmp_path):
    options = ["--processes", 1, "--max-failure-share", 0.5]
    status, out, err = run(capsys, listed, tmp_path / "out", *options)
    assert (status, err) == (0, "")
    assert "videos  3 of 4\nframes  18\n" in out
    assert "shards  4\n" in out
    assert "Failed, and left out: 1 videos" in out
    assert "3.mp4': the file is empty" in out
    assert f"Wrote {tmp_path / 'out'}\n" in out
    assert load_packed_index(tmp_path / "out").num_records == 3
    status, _, err = run(capsys, listed, "--output", tmp_path / "out", *options)
    assert (status, "has results already. Pass --resume" in err) == (2, True)
    again = run(capsys, listed, "--output", tmp_path / "out", *options, "--resume")
    assert "shards  4, 4 of them finished before" in again[1]
    status, _, err = run(capsys, tmp_path / "out", tmp_path / "other")
    assert (status, "is packed already" in err) == (2, True)


def test_every_option(capsys, listed, tmp_path):
    (tmp_path / "names.txt").write_text("jump\nrun\n")
    (tmp_path / "2.mp4").unlink()
    status, out, _ = run(
        capsys,
        *[listed, tmp_path / "out", "--format", "list", "--root", tmp_path],
        *["--labels", tmp_path / "names.txt", "--skip-missing", "--short-side", 48],
        *["--quality", 70, "--shards", 2, "--name", "train", "--processes", 1],
        *["--max-failure-share", 1, "--retry-failures", "--overwrite"],
    )
    assert status == 0
    assert "Not there, and left out: 1 videos" in out
    index = load_packed_index(tmp_path / "out")
    assert index.labels == ("jump", "run")
    assert index.shards[0].name == "train-00000-of-00002.tfrecord"
    assert (index.options.quality, index.records[0].height) == (70, 48)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt", "out"], "none.txt"),
        (["LIST", "OUT", "--quality", 0], "an integer from 1 to 100 for `quality`"),
        (["LIST", "OUT", "--processes", 1], "1 of 4 videos cannot be packed"),
        (["LIST", "OUT", "--processes", 1, "--beam"], "--processes is for packing without --beam"),
    ],
)
def test_errors(capsys, listed, tmp_path, arguments, message):
    places = {"LIST": listed, "OUT": tmp_path / "out"}
    status, out, err = run(capsys, *(places.get(word, word) for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("keras-tdn: error: ")
    # Whatever the message brings along is indented below its first line.
    assert all(line.startswith("  ") for line in err.splitlines()[1:])


@pytest.mark.parametrize("options", [[], ["--quality", 70]])
def test_an_empty_output_is_not_the_current_folder(capsys, listed, options):
    with pytest.raises(SystemExit):
        run(capsys, listed, *options, "")
    assert "argument OUT: it is empty" in capsys.readouterr().err


def test_without_beam_the_extra_is_named(capsys, listed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    status, _, err = run(capsys, listed, tmp_path / "out", "--beam", "--runner=DirectRunner")
    assert status == 2
    assert 'pip install "keras-tdn[beam]"' in err


def test_with_beam(capsys, listed, tmp_path):
    pytest.importorskip("apache_beam", reason="needs the extra keras-tdn[beam]")
    options = ["--max-failure-share", 0.5, "--beam", "--runner=DirectRunner"]
    status, out, _ = run(capsys, listed, tmp_path / "out", *options)
    assert status == 0
    assert "videos  3 of 4" in out
