"""One process at a time works in a folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from keras_tdn.files.locks import LOCK_FILE, locked
from keras_tdn.files.resumable_folder import FolderKind, ResumableFolder

HOLD = """
import sys
from keras_tdn.files.locks import locked
with locked(sys.argv[1], "waiting"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout.readline().strip() == b"held"
        yield process
        process.kill()


def test_another_process_is_refused_until_the_first_is_gone(tmp_path, holder):
    message = "Another process is packing into .*Wait for it, or choose another folder"
    with pytest.raises(ValueError, match=message), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    # What it left locks nobody out and is not taken for work of another kind.
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    ResumableFolder(tmp_path, FolderKind("index.json", ".work", "pack into", "packing", "Pack"))
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_with_whoever_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    with locked(tmp_path), pytest.raises(ValueError, match="Another process is"), locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_locked_it_works_without(tmp_path, monkeypatch):
    def fail(self):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with locked(tmp_path), locked(tmp_path):
        pass


def test_a_file_that_was_removed_is_no_lock(tmp_path):
    """A process that opened the file before the first removed it must not hold it alone."""
    opened = FileLock(tmp_path / LOCK_FILE, timeout=0)
    with opened:
        (tmp_path / LOCK_FILE).unlink()
        with locked(tmp_path):
            assert (tmp_path / LOCK_FILE).exists()
