import pytest
from synthetic_videos import encode_video

from keras_tdn import cli
from keras_tdn.data.failures import read_failures
from keras_tdn.data.records import load_records


@pytest.fixture
def folder(tmp_path):
    for number, length in enumerate((30, 20, 0)):
        content = encode_video(length) if length else b""
        (tmp_path / f"{number}.mp4").write_bytes(content)
    (tmp_path / "good.txt").write_text("0.mp4 0\n1.mp4 1\n")
    (tmp_path / "list.txt").write_text("0.mp4 0\n1.mp4 1\n2.mp4 0\ngone.mp4 1\n")
    return tmp_path


def test_good_list(folder, capsys):
    assert cli.main(["check", str(folder / "good.txt"), "--processes", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "files     2, of which 0 bad",
        "frames    20 to 30, median 25",
        "duration  0.8 to 1.2 s, median 1.0; 0.00 hours in all",
        "pixels    160x96 most often, 1 different",
        "size      0.000 GB in all",
        "classes   2, of 1 good files each",
    ]
    assert captured.err == ""


def test_bad_files(folder, capsys):
    report, good = folder / "bad.jsonl", folder / "new.csv"
    options = ["--full", "--report", str(report), "--write-good", str(good), "--time-limit", "30"]
    assert cli.main(["check", str(folder / "list.txt"), *options]) == 1
    out = capsys.readouterr().out
    assert f"Cannot read '{folder / '2.mp4'}': the file is empty" in out
    assert f"Cannot read '{folder / 'gone.mp4'}': there is no such file" in out
    assert "files     4, of which 2 bad" in out
    assert [failure.index for failure in read_failures(report)] == [2, 4 - 1]
    assert cli.main(["check", str(folder / "list.txt"), "--skip-missing"]) == 1
    assert "files     3, of which 1 bad" in capsys.readouterr().out
    assert [record.num_frames for record in load_records(good)] == [30, 20]


def test_list_that_cannot_be_read(folder, capsys):
    (folder / "broken.txt").write_text("0.mp4 0\nnonsense\n")
    for name, message in (
        ("broken.txt", "line 2: there is no label"),
        ("nowhere.txt", "nowhere.txt"),
    ):
        assert cli.main(["check", str(folder / name)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
