"""Old files and folders stay until new ones are in place, whenever a process is stopped."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

from keras_tdn.demo.run import PAGE_FILE, demo_folder
from keras_tdn.files import atomic
from keras_tdn.files.atomic import (
    check_free,
    remove_leftovers,
    restore_replaced,
    written_beside,
)
from keras_tdn.pretrained.preset_files import open_folder


def put(path, content, kind):
    if kind == "folder":
        path.mkdir()
        (path / "a").write_text(content)
        (path / "b").write_text(content)
    else:
        path.write_text(content)


def content_of(path):
    if not path.exists():
        return None
    return [file.read_text() for file in sorted(path.iterdir() if path.is_dir() else [path])]


def replace(path, content, kind):
    with written_beside(path) as new:
        put(new, content, kind)


class Stops:
    """Stands in for a function; a call raises instead of the work, or after it."""

    def __init__(self, function, first, last, after):
        self.function, self.first, self.last, self.after = function, first, last, after
        self.calls = 0

    def __call__(self, *arguments, **options):
        self.calls += 1
        stops = self.first <= self.calls <= self.last
        if stops and not self.after:
            raise KeyboardInterrupt
        result = self.function(*arguments, **options)
        if stops:
            raise KeyboardInterrupt
        return result


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_interrupted_between_any_two_steps_one_of_both_is_there(
    tmp_path, monkeypatch, kind, after, call
):
    path = tmp_path / "preset"
    put(path, "old", kind)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", Stops(os.replace, call, call, after))
        with contextlib.suppress(KeyboardInterrupt):
            replace(path, "new", kind)
    assert content_of(path) in (["old"], ["new"], ["old", "old"], ["new", "new"])
    # Nothing is left beside it, and the next one is written as if nothing had been.
    assert [entry.name for entry in tmp_path.iterdir()] == ["preset"]
    replace(path, "newer", kind)
    assert set(content_of(path)) == {"newer"}


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("start", [check_free, remove_leftovers, restore_replaced, open_folder])
def test_killed_between_any_two_steps_the_next_start_has_one_of_both(
    tmp_path, monkeypatch, start, after, call
):
    path = tmp_path / "preset"
    put(path, "old", "folder")
    with monkeypatch.context() as patch:
        # As after SIGKILL: nothing that follows is done any more.
        patch.setattr(os, "replace", Stops(os.replace, call, 99, after))
        patch.setattr(shutil, "rmtree", Stops(shutil.rmtree, 1, 99, False))
        with pytest.raises(KeyboardInterrupt):
            replace(path, "new", "folder")
    # A folder that is called alike has leftovers of its own.
    put(tmp_path / ".preset.json.abcdefgh.tmp", "another's", "folder")
    with contextlib.suppress(ValueError):
        start(path, False) if start is check_free else start(path)
    assert content_of(path) == (["new", "new"] if after and call == 2 else ["old", "old"])
    remove_leftovers(path)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [".preset.json.abcdefgh.tmp", "preset"]


def test_what_a_kill_moved_away_is_not_taken_for_free(tmp_path):
    (tmp_path / ".preset.abcdefgh.tmp").mkdir()
    put(tmp_path / ".preset.abcdefgh.tmp" / "old", "old", "folder")
    with pytest.raises(ValueError, match=r"exists\. Choose another place"):
        check_free(tmp_path / "preset", overwrite=False)


def test_a_process_that_is_killed_between_the_two(tmp_path):
    put(tmp_path / "preset", "old", "folder")
    # The module alone: with the package comes Keras.
    code = """
import os, pathlib, runpy, signal, sys
written_beside = runpy.run_path(sys.argv[2])["written_beside"]
replace = os.replace
def die(source, target):
    if source.parent.name == "new":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = die
with written_beside(pathlib.Path(sys.argv[1])) as new:
    new.mkdir()
"""
    arguments = [code, tmp_path / "preset", atomic.__file__]
    killed = subprocess.run([sys.executable, "-c", *arguments], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "preset").exists()
    restore_replaced(tmp_path / "preset")
    assert content_of(tmp_path / "preset") == ["old", "old"]


def test_where_a_folder_cannot_be_renamed_onto_another(tmp_path, monkeypatch):
    def replace_as_on_windows(source, target):
        if os.path.isdir(target):
            raise PermissionError(13, "Access is denied")
        os.rename(source, target)

    put(tmp_path / "preset", "old", "folder")
    monkeypatch.setattr(os, "replace", replace_as_on_windows)
    replace(tmp_path / "preset", "new", "folder")
    assert content_of(tmp_path / "preset") == ["new", "new"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_failure_leaves_what_was_there(tmp_path, kind):
    put(tmp_path / "x", "old", kind)

    def fail(*arguments):
        raise RuntimeError

    with pytest.raises(RuntimeError), written_beside(tmp_path / "x") as new:
        fail(put(new, "half", kind))
    assert set(content_of(tmp_path / "x")) == {"old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    put(tmp_path / "results", "old", "folder")
    with pytest.raises(ValueError, match="results' is a folder, and a file was to be written"):
        replace(tmp_path / "results", "new", "file")
    assert content_of(tmp_path / "results") == ["old", "old"]


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path):
    put(tmp_path / "target", "old", "folder")
    (tmp_path / "link").symlink_to(tmp_path / "target", target_is_directory=True)
    replace(tmp_path / "link", "new", "folder")
    assert content_of(tmp_path / "link") == ["new", "new"]
    assert content_of(tmp_path / "target") == ["old", "old"]


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 120, "[a]*?", "caf\udce9", " a\n"])
def test_whatever_it_is_called(tmp_path, name):
    path = tmp_path / name
    put(path, "old", "folder")
    replace(path, "new", "folder")
    assert content_of(path) == ["new", "new"]
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        replace(path, "new", "file")
    remove_leftovers(path)
    assert sorted(os.listdir(tmp_path)) == sorted(["x", name])


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_an_interrupted_demo_is_whole_or_nothing(tmp_path, monkeypatch, call, after):
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", Stops(os.replace, call, call, after))
        with contextlib.suppress(KeyboardInterrupt), demo_folder(tmp_path / "demo") as place:
            put(place / "preset", "x", "folder")
            put(place / "data.json", "x", "file")
            put(place / PAGE_FILE, "x", "file")
    whole = after and call == 3
    assert (tmp_path / "demo").exists() == whole
    if whole:
        assert len(list((tmp_path / "demo").iterdir())) == 3
