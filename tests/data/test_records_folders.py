"""Folders that are no classes, and that nothing is left out of without a word."""

import inspect
import os
import sys

import pytest

from keras_tdn.data.records import load_records
from keras_tdn.labelling.labelling_run import list_videos


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def found(root, records):
    return [os.path.relpath(record.path, root) for record in records]


def test_what_systems_leave_behind(tmp_path, caplog):
    touch(
        tmp_path,
        "run/v1.mp4",
        "run/@eaDir/v1.mp4/SYNOVIDEO_VIDEO_SCREENSHOT.jpg",
        "run/more/v2.mp4",
        "run/more/@eaDir/v2.mp4/SYNOVIDEO_VIDEO_SCREENSHOT.jpg",
        "jump/v3.mp4",
        "jump/v4.mp4",
        "jump/._v4.mp4",
        "jump/.DS_Store",
        "@eaDir/run/x.jpg",
        "__MACOSX/run/._v1.mp4",
        "__MACOSX/run/v1.mp4",
        "lost+found/v.mp4",
        "#recycle/run/v.mp4",
        "$RECYCLE.BIN/v.mp4",
        "System Volume Information/v.mp4",
        ".git/v.mp4",
        ".Trash-1000/v.mp4",
        "empty/readme.txt",
        "in no class.mp4",
    )
    (tmp_path / "hollow" / "inside").mkdir(parents=True)
    records = load_records(tmp_path)
    assert records.labels == ("jump", "run")
    assert found(tmp_path, records) == [
        "jump/v3.mp4",
        "jump/v4.mp4",
        "run/more/v2.mp4",
        "run/v1.mp4",
    ]
    (line,) = caplog.messages
    assert line.startswith(f"Skipped in {str(tmp_path)!r}: ")
    assert set(line.split(": ", 1)[1].split("; ")) == {
        "system folders '#recycle', '$RECYCLE.BIN', '@eaDir' and 5 more",
        "hidden folders '.Trash-1000', '.git'",
        "folders without a video 'empty', 'hollow'",
        "videos in no class folder 'in no class.mp4'",
        "hidden videos 'jump/._v4.mp4'",
    }


def test_nothing_is_said_where_nothing_is_skipped(tmp_path, caplog):
    touch(tmp_path, "run/a.mp4", "run/.DS_Store", "run/notes.txt", "README.md")
    load_records(tmp_path)
    assert caplog.messages == []


def test_pictures_beside_videos_are_no_frames(tmp_path, caplog):
    touch(
        tmp_path,
        "run/session/a.mp4",
        "run/session/b.mp4",
        "run/session/a.jpg",
        "run/frames/1.jpg",
        "run/frames/flow/1.jpg",
        "run/hidden/.1.jpg",
        "run/cover.jpg",
    )
    records = load_records(tmp_path)
    assert found(tmp_path, records) == ["run/frames", "run/session/a.mp4", "run/session/b.mp4"]
    assert "folders with pictures that are no video's frames 'run', 'run/session'" in caplog.text
    assert "folders in folders of frames 'run/frames/flow'" in caplog.text


def test_splits_that_differ_by_case_or_spelling(tmp_path):
    touch(tmp_path, "Train/run/a.mp4", "train/run/b.mp4", "val/run/c.mp4", "validation/run/d.mp4")
    for split, folders in (("train", "'Train', 'train'"), ("val", "'val', 'validation'")):
        with pytest.raises(ValueError, match=rf"several folders for that split, \[{folders}\]"):
            load_records(tmp_path, split=split)
    with pytest.raises(ValueError, match=r"a folder per split, \['Train', 'train', 'val', 'va"):
        load_records(tmp_path)


def test_what_lies_beside_splits_makes_them_no_classes(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "test/run/b.mp4", "__MACOSX/train/a.mp4", "lists/train.txt")
    with pytest.raises(ValueError, match=r"a folder per split, \['test', 'train'\]"):
        load_records(tmp_path)
    assert found(tmp_path, load_records(tmp_path, split="test")) == ["test/run/b.mp4"]


def test_empty_class_folders_need_not_be_known(tmp_path):
    touch(tmp_path, "riding_a_bike/a.mp4", "to be sorted/notes.txt")
    records = load_records(tmp_path, labels="kinetics400")
    assert len(records) == 1


def test_folders_without_any_video(tmp_path):
    touch(tmp_path, "run/notes.txt", "jump/x/y.txt", "@eaDir/a.mp4")
    with pytest.raises(ValueError, match=r"has no records: .* in its folders, \['jump', 'run'\]"):
        load_records(tmp_path)


def test_links_that_lead_back(tmp_path, caplog):
    touch(tmp_path, "run/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "run" / "again").symlink_to(tmp_path / "run", target_is_directory=True)
    (tmp_path / "run" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "run" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "run" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    records = load_records(tmp_path, skip_missing=True)
    names = found(tmp_path, records)
    assert names.count("run/a.mp4") == names.count("run/linked/b.mp4") == 1
    assert not any("again" in name for name in names)
    assert "links to a folder that they lie in 'run/again'" in caplog.text


def test_folders_deeper_than_python_recurses(tmp_path):
    touch(tmp_path, f"run/{'d/' * 150}a.mp4")
    limit = sys.getrecursionlimit()
    # Not a thousand folders, which pytest itself could not remove.
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        records = load_records(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert len(records) == 1


def test_classes_called_alike_or_by_nothing(tmp_path):
    touch(tmp_path, "run/a.mp4", " run /b.mp4")
    with pytest.raises(ValueError, match=r"' run ' and 'run' in .* give the same class name, 'run"):
        load_records(tmp_path)
    os.rename(tmp_path / " run ", tmp_path / " ")
    with pytest.raises(ValueError, match=r"folder ' ' in .* gives no class name: it is empty"):
        load_records(tmp_path)


def test_a_folder_that_is_called_like_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere")
    touch(tmp_path, "~/a.mp4", "~root/b.mp4")
    assert found(tmp_path, load_records(tmp_path)) == ["~/a.mp4", "~root/b.mp4"]


def test_labelling_skips_and_says_the_same(tmp_path, caplog):
    touch(tmp_path, "a.mp4", "x/b.mp4", "@eaDir/a.mp4/x.jpg", ".git/c.mp4")
    assert found(tmp_path, list_videos(tmp_path)) == ["a.mp4", "x/b.mp4"]
    assert "system folders './@eaDir'; hidden folders './.git'" in caplog.text


def test_labelling_takes_lists_whatever_their_labels(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 1000000\n")
    assert len(list_videos(tmp_path / "list.txt")) == 2
