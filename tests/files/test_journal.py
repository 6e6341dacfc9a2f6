"""The journal: everything put in it is there after a kill, and nothing of another run."""

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from full_disk import disk_of

from keras_tdn.files import journal as journal_module
from keras_tdn.files.journal import Journal, differences, on_network, remove_journal

IDENTITY = {"weights": "ab12", "views": {"clips": 10, "crops": 3}, "labels": ["a", "b"]}

KILLED = """
import os, signal, sys
from pathlib import Path
from keras_tdn.files import journal
if sys.argv[2] == "DELETE":
    journal.on_network = lambda folder: True
    journal.SYNC_SECONDS = 0
with journal.Journal(Path(sys.argv[1]), {"run": 1}, lock="evaluating") as done:
    for key in range(len(done), len(done) + 7):
        done.put(key, bytes([key]) * 5000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scores.sqlite"


def started(path, identity=IDENTITY, **options):
    return Journal(path, identity, **({"lock": "evaluating"} | options))


@pytest.fixture(params=["WAL", "DELETE"])
def mode(request, monkeypatch):
    """Where there is a write-ahead log, and where there is none."""
    monkeypatch.setattr(journal_module, "on_network", lambda folder: request.param == "DELETE")
    return request.param


def test_what_was_put_is_there_when_it_is_opened_again(path, mode):
    with started(path) as journal:
        journal.put(np.int32(2), b"two")
        journal.put(0, b"")
        journal.put(1, failure="no video stream")
        journal.put("row 7", b"seven")
        journal.put(2, b"TWO")
        journal.note("report", {"top1": 0.5})
    with started(path) as journal:
        assert list(journal.items()) == [
            (0, b"", None),
            (1, None, "no video stream"),
            (2, b"TWO", None),
            ("row 7", b"seven", None),
        ]
        assert len(journal) == 4
        assert journal.noted("report") == {"top1": 0.5}
        assert journal.noted("other") is None
    # Nothing but the file is left.
    assert os.listdir(path.parent) == [path.name]


def test_names_that_are_no_text_come_back_as_they_were(path, mode):
    name = "video \udcff \ud800.mp4"
    with started(path) as journal:
        journal.put(0, failure=f"cannot read {name!s}")
        journal.put(name, b"seven")
    with started(path) as journal:
        expected = [(0, None, f"cannot read {name}"), (name, b"seven", None)]
        assert list(journal.items()) == expected


def test_removed_it_starts_anew(path):
    with started(path) as journal:
        journal.put(0, b"old")
    remove_journal(path)
    with started(path, {"weights": "cd"}) as journal:
        assert len(journal) == 0
        journal.put(0, b"new")
    with started(path, {"weights": "cd"}) as journal:
        assert list(journal.items()) == [(0, b"new", None)]


@pytest.mark.parametrize("kind", ["WAL", "DELETE"])
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signal")
def test_a_kill_loses_nothing(path, kind):
    for kills in range(1, 4):
        command = [sys.executable, "-c", KILLED, str(path), kind]
        process = subprocess.run(command, cwd=Path(__file__).parents[2])
        assert process.returncode == -signal.SIGKILL
        with started(path, {"run": 1}) as journal:
            expected = [(key, bytes([key]) * 5000, None) for key in range(7 * kills)]
            assert list(journal.items()) == expected


def test_a_power_cut_loses_less_than_a_second(path, mode, monkeypatch):
    """What the disk is told to keep: statements between which it is waited for."""
    seconds = [0.0]
    monkeypatch.setattr(journal_module.time, "monotonic", lambda: seconds[0])
    with started(path) as journal:
        told = []
        journal._database.set_trace_callback(told.append)
        waits = "PRAGMA synchronous = FULL" if mode == "WAL" else "COMMIT"
        journal.put(0, b"first")
        assert told.count(waits) == 1
        journal.put(1, b"at once after")
        assert told.count(waits) == 1
        seconds[0] += 1.0
        journal.put(2, b"a second later")
        assert told.count(waits) == 2
        journal.note("report", 1)
        assert told.count(waits) == 3
        journal.put(3, b"")
        journal.sync()
        journal.sync()
        assert told.count(waits) == 4


def test_another_run_is_refused_and_told_what_differs(path):
    with started(path) as journal:
        journal.put(0, b"kept")
    other = {"weights": "cd34", "views": {"clips": 10, "crops": 1}, "labels": ["a", "b"], "seed": 1}
    message = (
        r"scores.sqlite' was started with seed None, now 1; views.crops 3, now 1; weights 'ab12', "
        r"now 'cd34'\. Continue with what it was started with, choose another path, or pass "
        r"overwrite=True \(on the command line --overwrite\) to start anew\."
    )
    with pytest.raises(ValueError, match=message), started(path, other):
        pass
    with started(path) as journal:
        assert list(journal.items()) == [(0, b"kept", None)]


def test_tuples_are_the_lists_that_they_are_read_back_as(path):
    for _ in range(2):
        with started(path, {"size": (224, 224)}) as journal:
            assert journal.identity == {"size": [224, 224]}
    assert list(differences({"a": 1}, {"a": 1})) == []


@pytest.mark.parametrize(
    "content", [b"scores of another format\n" * 99, b"SQLite format 3\0" * 400]
)
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged or not a journal.*Choose another path, or"):
        started(path).__enter__()
    assert path.read_bytes() == content
    remove_journal(path)
    with started(path) as journal:
        assert len(journal) == 0


def test_what_rotted_on_the_disk_is_not_done_nor_what_follows(path):
    with started(path) as journal:
        for key in range(5):
            journal.put(key, bytes([key]))
        journal.note("report", 1)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entries SET value = x'07' WHERE key = 2")
    database.close()
    with started(path) as journal:
        assert [key for key, _, _ in journal.items()] == [0, 1]
        assert journal.noted("report") is None


def test_a_database_of_another_program_is_refused(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (address TEXT)")
    database.close()
    with pytest.raises(ValueError, match="is an SQLite database of another program"):
        started(path).__enter__()


def test_another_version_is_refused(path, monkeypatch):
    with started(path):
        pass
    monkeypatch.setattr(journal_module, "FORMAT_VERSION", 2)
    with pytest.raises(ValueError, match=r"another version of keras_tdn \(format 1, not 2\)"):
        started(path).__enter__()


def test_damage_is_refused_or_counts_as_not_done(path):
    """Never a raw error of SQLite, and never other bytes than were put."""
    values = {key: bytes([key]) * 3000 for key in range(20)}
    with started(path) as journal:
        for key, value in values.items():
            journal.put(key, value)
    whole = path.read_bytes()
    refused = fewer = 0
    for position in range(0, len(whole), 997):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        told, found = None, {}
        try:
            with started(path) as journal:
                found = {key: value for key, value, _ in journal.items()}
        except ValueError as error:
            told = str(error)
        assert told is None or "to start anew" in told
        assert found.items() <= values.items()
        refused += told is not None
        fewer += 0 < len(found) < len(values)
    assert refused > 0
    assert fewer > 0
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        started(path).__enter__()


def test_a_start_that_was_cut_off_is_a_start(path):
    """The file is there before its tables are, and a log may be there without its file."""
    path.touch()
    with started(path) as journal:
        journal.put(0, b"")
    path.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(b"of the file that was removed")
    with started(path) as journal:
        assert len(journal) == 0


def test_a_full_disk_says_what_to_do_and_loses_nothing(path, mode):
    with started(path) as journal:
        journal.put(0, b"small")

        def put_on_disk():
            journal.put(1, bytes(400_000))
            journal.sync()

        with disk_of(300_000), pytest.raises(OSError, match="make room and run the same") as told:
            put_on_disk()
        assert told.value.errno in (errno.ENOSPC, errno.EIO)
        journal.put(2, b"after it")
    with started(path) as journal:
        assert [key for key, _, _ in journal.items()] in ([0, 2], [2])
        assert mode == "DELETE" or len(journal) == 2


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot be written"):
        Journal(tmp_path / "file" / "x.sqlite", {}, lock=None).__enter__()


def test_one_process_holds_it_and_others_read_it(path, mode):
    with started(path, lock="watching") as journal:
        journal.put(0, b"seen")
        journal.sync()
        with (
            pytest.raises(ValueError, match="Another process is watching into"),
            started(path, lock="watching"),
        ):
            pass
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            assert reader.execute("SELECT key, value FROM entries").fetchall() == [(0, b"seen")]
            facts = dict(reader.execute("SELECT name, value FROM facts").fetchall())
            assert json.loads(facts["identity"]) == IDENTITY
        reader.close()
        with started(path, lock=None):
            pass


def test_mistakes_of_the_caller_are_told_as_they_are(path):
    with started(path) as journal:
        with pytest.raises(TypeError):
            journal.put(1.5, b"")
        with pytest.raises(sqlite3.Error, match="not supported"):
            journal.put(1, {"not": "bytes"})
        assert len(journal) == 0


def test_threads_share_it(path, mode):
    with started(path) as journal:

        def work(first):
            for key in range(first, first + 50):
                journal.put(key, bytes(10))

        threads = [threading.Thread(target=work, args=(50 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(journal) == 200


def test_network_file_systems_are_known_by_their_mounts(tmp_path, monkeypatch):
    if not hasattr(os, "major"):
        pytest.skip("this system has no such numbers")
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = (
        f"22 1 0:999 / /proc rw - proc proc rw\n36 35 {number} / /data rw shared:1 - KIND x rw\n"
    )
    for kind, expected in {"nfs4": True, "cifs": True, "ext4": False, "xfs": False}.items():
        text = mounts.replace("KIND", kind)
        monkeypatch.setattr(Path, "read_text", lambda self, *_, text=text: text)
        assert on_network(tmp_path) is expected
    monkeypatch.undo()
    assert on_network(Path("/proc/none")) is False
