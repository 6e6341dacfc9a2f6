import pytest
from synthetic_videos import encode_video

from keras_tdn import cli


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes(encode_video(30) if number else b"")
    (tmp_path / "list.txt").write_text("0.mp4 0\n1.mp4 1\n2.mp4 0\n")
    return tmp_path


def arguments(folder, out, *options):
    small = ["--segments", "2", "--size", "48"]
    return ["browse", str(folder / "list.txt"), "--output", str(folder / out), *small, *options]


def test_page(folder, capsys):
    assert cli.main(arguments(folder, "page.html")) == 0
    assert capsys.readouterr().out.startswith("3 of 3 videos, 1 of them unreadable: ")
    page = (folder / "page.html").read_text()
    assert "Training clips of list.txt" in page
    assert cli.main(arguments(folder, "other.html", "--validation", "--count", "1")) == 0
    assert "Validation clips of list.txt" in (folder / "other.html").read_text()


def test_sheets(folder):
    assert cli.main(arguments(folder, "sheets", "--epoch", "1", "--seed", "7")) == 0
    assert [path.name for path in sorted((folder / "sheets").iterdir())] == [
        "000001.png",
        "000002.png",
    ]


def test_packed_records(folder, capsys):
    packed = folder / "packed"
    options = ["--max-failure-share", "1", "--processes", "1"]
    assert cli.main(["pack", str(folder / "list.txt"), str(packed), *options]) == 0
    capsys.readouterr()
    small = ["--segments", "2", "--size", "48", "--output", str(folder / "page.html")]
    assert cli.main(["browse", str(packed), *small]) == 0
    assert capsys.readouterr().out.startswith("2 of 2 videos: ")
    assert cli.main(["check", str(packed), "--processes", "1"]) == 0
    assert "files     2, of which 0 bad" in capsys.readouterr().out
    for option, value in (("--split", "val"), ("--classes", "3"), ("--format", "list")):
        assert cli.main(["check", str(packed), option, value]) == 2
        assert f"{option} is for lists of videos" in capsys.readouterr().err


def test_errors(folder, capsys):
    assert cli.main(arguments(folder, "page.html", "--count", "0")) == 2
    assert "`count` is a positive integer" in capsys.readouterr().err
    (folder / "1.mp4").unlink()
    assert cli.main(arguments(folder, "page.html")) == 2
    assert "1.mp4" in capsys.readouterr().err
    assert cli.main(arguments(folder, "page.html", "--skip-missing")) == 0
    assert capsys.readouterr().out.startswith("2 of 2 videos")
    assert cli.main(["browse", str(folder / "nowhere"), "--output", "page.html"]) == 2
    assert "nowhere" in capsys.readouterr().err
