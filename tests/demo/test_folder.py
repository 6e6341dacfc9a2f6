import collections
import os
import pathlib
import tempfile

import pytest

from keras_tdn.demo.run import demo_folder


def write_some(folder):
    with demo_folder(folder) as place:
        (place / "preset").mkdir()
        (place / "preset" / "config.json").write_text("{}")
        (place / "index.html").write_text("page")
        assert not (folder / "index.html").exists()


@pytest.mark.parametrize("name", ["new", "new/inner/most", "empty"])
def test_all_comes_at_the_end(tmp_path, name):
    (tmp_path / "empty").mkdir()
    folder = tmp_path / name
    write_some(folder)
    assert sorted(entry.name for entry in folder.iterdir()) == ["index.html", "preset"]
    assert (folder / "preset" / "config.json").read_text() == "{}"


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with demo_folder("demo") as place:
        # Whatever changes the current folder meanwhile.
        os.chdir("/")
        (place / "index.html").write_text("page")
    assert (tmp_path / "demo" / "index.html").is_file()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["new/inner", "empty"])
def test_a_failure_leaves_nothing(tmp_path, error, name):
    (tmp_path / "empty").mkdir()

    def fail(place):
        (place / "videos").mkdir()
        (place / "videos" / "one.mp4").write_bytes(b"1")
        raise error

    with pytest.raises(error), demo_folder(tmp_path / name) as place:
        fail(place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def check_refused(root, folder, message):
    before = sorted(root.rglob("*"))
    with pytest.raises(ValueError, match=message), demo_folder(folder):
        raise AssertionError("nothing may be done in it")
    assert sorted(root.rglob("*")) == before


def test_a_second_demo_in_one_folder(tmp_path):
    write_some(tmp_path / "demo")
    check_refused(
        tmp_path,
        tmp_path / "demo",
        r"has a finished demo: open '.*index.html'. .* or delete this one",
    )
    assert (tmp_path / "demo" / "index.html").read_text() == "page"


def test_what_a_killed_demo_left(tmp_path):
    place = tempfile.mkdtemp(prefix=".unfinished-", dir=tmp_path)
    check_refused(
        tmp_path, tmp_path, "one was killed and left '.unfinished-.*if none is running, delete"
    )
    assert os.path.isdir(place)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("kept")
    check_refused(
        tmp_path, tmp_path, r"is not empty: it has 'thesis.tex'.*choose another with --output"
    )


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_no_folder(tmp_path, kind):
    path = tmp_path / "demo"
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(tmp_path / "nowhere")
    check_refused(tmp_path, path, "is there already and is not a folder")


def test_a_file_on_the_way(tmp_path):
    (tmp_path / "file").write_text("kept")
    check_refused(tmp_path, tmp_path / "file" / "demo", r"cannot write to .*: Not a directory")


def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(pathlib.Path, "mkdir"), (tempfile, "mkdtemp"), (pathlib.Path, "iterdir")],
)
def test_a_folder_that_may_not_be_used(tmp_path, monkeypatch, owner, name):
    """Each place where the system may refuse; to root, it would not."""
    folder = tmp_path / "demo"
    if name == "iterdir":
        folder.mkdir()
    monkeypatch.setattr(owner, name, refuse)
    check_refused(tmp_path, folder, r"cannot write to .*Permission denied.*--output")
    monkeypatch.undo()
    assert folder.exists() == (name == "iterdir")


def test_a_full_disk(tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    check_refused(tmp_path, tmp_path / "demo", r"needs 150 MB, and .* 1 MB are free")
