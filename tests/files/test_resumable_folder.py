"""A folder that is filled again keeps what it had until the new results are whole."""

import os

import pytest

from keras_tdn.files.resumable_folder import FolderKind, ResumableFolder, check_unused

KIND = FolderKind("index.json", ".work", "pack into", "packing", "Pack the same")


def fill(path, plan, *names, overwrite=False, finish=True):
    folder = ResumableFolder(path, KIND)
    if overwrite:
        folder.clear(["*.shard"])
    folder.prepare({"plan": plan})
    for name in names:
        (path / name).write_text(plan)
    if finish:
        folder.conclude({"plan": plan}, [{"name": name} for name in names])
    return folder


def names(path):
    return sorted(item.name for item in path.iterdir())


def test_finished_results_wait_until_others_are_whole(tmp_path):
    fill(tmp_path, "old", "a.shard", "b.shard")
    fill(tmp_path, "new", "a.shard", overwrite=True, finish=False)
    assert names(tmp_path) == [".replaced", ".work", "a.shard"]
    assert ResumableFolder(tmp_path / ".replaced", KIND).headers()[0]["plan"] == "old"
    assert (tmp_path / ".replaced" / "b.shard").read_text() == "old"
    # Half of other results is no reason to lose them.
    fill(tmp_path, "newer", "c.shard", overwrite=True, finish=False)
    assert names(tmp_path / ".replaced") == ["a.shard", "b.shard", "index.json"]
    fill(tmp_path, "newer", "c.shard")
    assert names(tmp_path) == ["c.shard", "index.json"]


def test_a_kill_while_results_are_moved_leaves_a_folder_that_can_be_filled(tmp_path, monkeypatch):
    fill(tmp_path, "old", "a.shard")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda source, target: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fill(tmp_path, "new", overwrite=True)
    fill(tmp_path, "new", "a.shard", overwrite=True)
    assert names(tmp_path) == ["a.shard", "index.json"]


@pytest.mark.parametrize("num_moved", [0, 1, 2, 3])
@pytest.mark.parametrize("then", ["overwritten", "resumed"])
def test_killed_while_results_are_moved_nothing_is_lost(tmp_path, monkeypatch, num_moved, then):
    fill(tmp_path, "old", "a.shard", "b.shard")
    calls = []

    def move(source, target, replace=os.replace):
        if len(calls) == num_moved:
            raise KeyboardInterrupt
        calls.append(source)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", move)
        with pytest.raises(KeyboardInterrupt):
            fill(tmp_path, "new", overwrite=True)
    if then == "overwritten":
        fill(tmp_path, "new", "a.shard", overwrite=True, finish=False)
        kept = tmp_path / ".replaced"
    elif num_moved < 3:
        # It is what it was before.
        kept = tmp_path
        with pytest.raises(ValueError, match="plan"):
            fill(tmp_path, "new")
    else:
        kept = tmp_path / ".replaced"
    assert [(kept / name).read_text() for name in ("a.shard", "b.shard")] == ["old", "old"]
    assert ResumableFolder(kept, KIND).headers()[0]["plan"] == "old"


def test_a_folder_with_results_is_not_taken_for_a_new_one(tmp_path):
    check_unused(tmp_path)
    check_unused(tmp_path / "new")
    fill(tmp_path, "old")
    with pytest.raises(ValueError, match="has results already"):
        check_unused(tmp_path)
