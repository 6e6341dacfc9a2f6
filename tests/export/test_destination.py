import os

import pytest

from keras_tdn.export.saved_model import check_version_folder


@pytest.mark.parametrize("name", ["model", "1.0", "0", "01", "-1", "1" * 19, "v1", "1 "])
def test_names_that_are_no_version(tmp_path, name):
    with pytest.raises(ValueError, match="is a positive integer") as caught:
        check_version_folder(tmp_path / name)
    assert repr(str(tmp_path / name / "1")) in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_version_is_not_replaced(tmp_path, kind):
    path = tmp_path / "3"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(tmp_path / "nowhere")
    (tmp_path / "7").mkdir()
    with pytest.raises(ValueError, match="is not changed") as caught:
        check_version_folder(path)
    # The server would go on serving 7 if 4 came now.
    assert repr(str(tmp_path / "8")) in str(caught.value)
    assert os.path.lexists(path)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match=r"'.*file' is not a folder"):
        check_version_folder(tmp_path / "file" / "model" / "1")


@pytest.mark.parametrize("inner", ["1", "model/1"])
def test_a_place_that_may_not_be_written_to(tmp_path, monkeypatch, inner):
    # Told by the system's answer, because root may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="may not be written to"):
        check_version_folder(tmp_path / inner)
    assert list(tmp_path.iterdir()) == []


def test_a_free_version_in_folders_that_are_not_there_yet(tmp_path):
    path = tmp_path / "models" / "tdn" / "12"
    assert check_version_folder(str(path)) == path
    assert list(tmp_path.iterdir()) == []
