"""The journal of a resumable run: one SQLite file."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import operator
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_tdn.files.locks import locked
from keras_tdn.files.text import is_text, shown

# "kTDN"; `file` shows it, and it marks the journals among SQLite databases.
APPLICATION_ID = 0x6B54444E
FORMAT_VERSION = 1
# A kill loses nothing that was put where there is a write-ahead log; a power cut loses less than
# this, and so does a kill on a network file system.
SYNC_SECONDS = 1.0
# How long another program may hold the file before it counts as busy.
BUSY_SECONDS = 60.0
# A write-ahead log needs memory that all readers share, which other machines cannot.
NETWORK_FILE_SYSTEMS = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gluster", "gpfs", "lustre", "nfs", "smb"),
    "virtiofs",
)
_COMPANIONS = ("-wal", "-shm", "-journal")
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entries (key NOT NULL PRIMARY KEY, value BLOB, failure TEXT, checksum INTEGER);
"""
_PUT = "INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3, checksum_of(?1, ?2, ?3))"
_NOTE = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
_ROTTED = "checksum IS NOT checksum_of(key, value, failure)"
_IDENTITY, _SYNCED = "identity", "synced"
_ADVICE = "Continue with what it was started with, choose another path"

Key = str | int


class Journal:
    """What a resumable run has done, in one SQLite file that survives kills and power cuts.

    It has an entry for each part of the work that is done, with its result or the reason of its
    failure, and the identity of the run: what results follow from, as JSON values. Entering it
    continues a file that is there, and refuses one of another identity. `sqlite3 FILE` reads it at
    any time. `lock` is what the run does ("watching"), for the error of another process that wants
    the folder meanwhile; `None` is for callers that have locked it already.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], lock: str | None) -> None:
        self.path = path
        # As it is read back: tuples are lists there.
        self.identity = json.loads(json.dumps(identity))
        self._lock = lock
        # Results may come from threads.
        self._mutex = threading.RLock()
        self._held = contextlib.ExitStack()
        self._database: sqlite3.Connection
        self._write_ahead = False
        self._synced = -math.inf
        self._pending = False

    def __enter__(self) -> Journal:
        with contextlib.ExitStack() as stack:
            if self._lock is not None:
                stack.enter_context(locked(self.path.parent, self._lock))
            with self._explained():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if not self.path.exists():
                    # A log without its file would be taken for that of the new one.
                    remove_journal(self.path)
                self._database = sqlite3.connect(
                    self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                stack.callback(self._database.close)
                self._open()
                self._check()
            self._held = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._held:
            try:
                self.sync()
            except OSError:
                # It was reported where it happened first.
                if error is None:
                    raise

    def put(self, key: Key, value: bytes | None = None, failure: str | None = None) -> None:
        """Records that a part of the work is done, or has failed; the latest record counts."""
        self._write(_PUT, (_plain(key), value, failure and _plain(failure)))

    def __len__(self) -> int:
        return self._first("SELECT count(*) FROM entries")[0]

    def items(self) -> Iterator[tuple[Key, bytes | None, str | None]]:
        """Yields key, result and reason of failure of each part, in order of keys."""
        with self._explained():
            for key, value, failure in self._database.execute(
                "SELECT key, value, failure FROM entries ORDER BY key"
            ):
                yield _restored(key), value, _restored(failure)

    def note(self, name: str, value: Any) -> None:
        """Records a fact of the whole run as JSON; it is on the disk when this returns."""
        self._write(_NOTE, (name, json.dumps(value)), durable=True)

    def noted(self, name: str) -> Any:
        row = self._first("SELECT value FROM facts WHERE name = ?", name)
        with self._explained():
            return None if row is None else json.loads(row[0])

    def sync(self) -> None:
        """Returns when everything that was put survives a power cut."""
        if self._pending:
            # A commit waits for the disk only if there is something to commit.
            self._write(_NOTE, (_SYNCED, json.dumps(time.time())), durable=True)

    def _write(self, statement: str, values: tuple[Any, ...], durable: bool = False) -> None:
        with self._mutex, self._explained():
            execute = self._database.execute
            durable = durable or time.monotonic() - self._synced >= SYNC_SECONDS
            if self._write_ahead:
                # A commit at NORMAL survives a kill; one at FULL is on the disk, with all before.
                execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            elif not self._database.in_transaction:
                # Each commit waits for the disk there.
                execute("BEGIN IMMEDIATE")
            execute(statement, values)
            if durable and not self._write_ahead:
                execute("COMMIT")
            self._pending = not durable
            if durable:
                self._synced = time.monotonic()

    def _first(self, statement: str, *values: Any) -> Any:
        with self._mutex, self._explained():
            return self._database.execute(statement, values).fetchone()

    def _open(self) -> None:
        database = self._database
        database.create_function("checksum_of", 3, _checksum, deterministic=True)
        mode = "DELETE" if on_network(self.path.parent) else "WAL"
        (mode,) = database.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        self._write_ahead = mode == "wal"
        database.execute("PRAGMA synchronous = FULL")

    def _check(self) -> None:
        """Refuses what is not this run's journal, and makes the tables of a new one."""
        (application,) = self._first("PRAGMA application_id")
        (version,) = self._first("PRAGMA user_version")
        (num_tables,) = self._first("SELECT count(*) FROM sqlite_schema")
        if application != APPLICATION_ID and (application or num_tables):
            raise self._unusable("is an SQLite database of another program")
        if not application:
            self._database.executescript(_SCHEMA)
            self._database.execute(_NOTE, (_IDENTITY, json.dumps(self.identity)))
            self._database.execute("COMMIT")
            return
        if version != FORMAT_VERSION:
            formats = f"format {version}, not {FORMAT_VERSION}"
            raise self._unusable(f"was written by another version of keras_tdn ({formats})")
        (state,) = self._first("PRAGMA quick_check(1)")
        if state != "ok":
            raise self._unusable(f"is damaged ({state})")
        check_same(self.path, self.noted(_IDENTITY), self.identity)
        # SQLite has no checksums of its own. What rotted on the disk counts as not done, with all
        # that was put after it, because runs continue behind the last entry.
        (first,) = self._first(f"SELECT min(rowid) FROM entries WHERE {_ROTTED}")
        if first is not None:
            # Facts go first, such as the one that the run has finished.
            self._database.execute("DELETE FROM facts WHERE name != ?", (_IDENTITY,))
            self._database.execute(f"DELETE FROM entries WHERE rowid >= {first}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Raises what SQLite and the system refuse as errors that say what is left to do."""
        try:
            yield
        except sqlite3.Error as error:
            if not hasattr(error, "sqlite_errorcode"):
                # A mistake of the caller, such as a value that is not bytes.
                raise
            # The lowest byte is the kind of the error, the rest says where it happened.
            code = error.sqlite_errorcode & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
                raise self._unusable(f"is damaged or not a journal ({error})") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise ValueError(
                    f"Another program holds {str(self.path)!r} ({error}). Close it and continue."
                ) from error
            full = code == sqlite3.SQLITE_FULL
            raise self._unwritable(errno.ENOSPC if full else errno.EIO, str(error)) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise self._unusable(f"is damaged ({error})") from error
        except OSError as error:
            raise self._unwritable(error.errno, str(error.strerror)) from error

    def _unwritable(self, number: int | None, reason: str) -> OSError:
        return OSError(
            number,
            f"{reason}; {str(self.path)!r} cannot be written. The results so far are safe: make "
            "room and run the same again, with resume=True (on the command line --resume) where "
            "there is that option",
        )

    def _unusable(self, problem: str) -> ValueError:
        return ValueError(
            f"{str(self.path)!r} {problem}. Choose another path, or remove this file to compute "
            "again what it holds, or pass overwrite=True (on the command line --overwrite) to "
            "start anew."
        )


def remove_journal(path: Path) -> None:
    """Removes a journal, and what SQLite keeps next to it while it is open."""
    for name in (path.name, *(f"{path.name}{end}" for end in _COMPANIONS)):
        path.with_name(name).unlink(missing_ok=True)


def check_same(
    path: Path, started: Mapping[str, Any], now: Mapping[str, Any], advice: str = _ADVICE
) -> None:
    """Raises a `ValueError` that names what differs, unless two identities are the same."""
    differing = list(differences(started, now))
    if differing:
        raise ValueError(
            f"{str(path)!r} was started with {'; '.join(differing)}. {advice}, or pass "
            "overwrite=True (on the command line --overwrite) to start anew."
        )


def differences(old: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields in words how two identities differ: "weights 'ab', now 'cd'"."""
    for name in sorted({*old, *now}):
        before, after = old.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name} {shown(before)}, now {shown(after)}"


def on_network(folder: Path) -> bool:
    """Returns whether a folder is known to be on a network file system."""
    if folder.drive.startswith("\\\\"):
        return True
    try:
        device = os.stat(folder).st_dev
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.startswith(NETWORK_FILE_SYSTEMS)
    return False


def _plain(key: Key) -> Key | bytes:
    """Returns a key or a reason as SQLite takes it: no NumPy, and text that is none as a blob."""
    if not isinstance(key, str):
        return operator.index(key)
    return key if is_text(key) else key.encode("utf-8", "surrogatepass")


def _restored(stored: Any) -> Any:
    return stored.decode("utf-8", "surrogatepass") if isinstance(stored, bytes) else stored


def _checksum(key: Key | bytes, value: bytes | None, failure: str | bytes | None) -> int:
    return zlib.crc32(value or b"", zlib.crc32(repr((key, value is None, failure)).encode()))
