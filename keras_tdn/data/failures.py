"""Records that cannot be read: each is reported once, and too many are an error."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import threading
from pathlib import Path

# A share of fewer records than this says little: one bad video of two is no reason to stop.
LEAST_RECORDS_SEEN = 100
# All are in the report; the log is for noticing.
MAX_LOGGED = 10

logger = logging.getLogger("keras_tdn")


class TooManyFailuresError(ValueError):
    """So many records cannot be read that something other than a few files must be wrong."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """One record that could not be read: its path, its `index`, and the reason."""

    path: str
    index: int
    reason: str


def check_share(max_failure_share: float) -> None:
    """Raises a `ValueError` unless it is a share."""
    is_number = isinstance(max_failure_share, (int, float))
    if not is_number or isinstance(max_failure_share, bool) or not 0 <= max_failure_share <= 1:
        raise ValueError(
            "`max_failure_share` is the share of the records that may fail, a number from 0 to 1. "
            f"Received: max_failure_share={max_failure_share!r}"
        )


class FailureLog:
    """Collects the failures of one data set, and stops it when there are too many.

    The report has JSON lines of `path`, `index` and `reason`, one for each path, however many
    epochs or runs come across it. Lines are appended whole: several processes may share the file,
    and a crash costs the last line at most.

    `max_failure_share`, from 0 to 1, is of the records seen, and of 100 at least.
    """

    def __init__(
        self,
        num_records: int,
        max_failure_share: float = 0.1,
        report: str | os.PathLike[str] | None = None,
    ) -> None:
        check_share(max_failure_share)
        self.num_records = num_records
        self.max_failure_share = max_failure_share
        self.report = None if report is None else os.fspath(report)
        self._failed: set[int] = set()
        self._reasons: dict[str, str] = {}
        self._num_seen = 0
        self._error: TooManyFailuresError | None = None
        # tf.data calls from threads of its own.
        self._lock = threading.Lock()
        self._reported = set()
        if self.report is not None:
            self._reported = {failure.path for failure in read_failures(self.report)}
            self._append(b"")

    def reason(self, path: str) -> str | None:
        """Returns why this path failed before, or `None` if it did not."""
        return self._reasons.get(path)

    def add(self, failure: Failure, num_seen: int) -> None:
        """Notes a failure of the latest of `num_seen` records; raises `TooManyFailuresError`s."""
        with self._lock:
            self._num_seen = max(self._num_seen, min(num_seen, self.num_records))
            if self._error is not None:
                # tf.data reads ahead past an error; without another it would never stop.
                raise self._error
            if failure.index in self._failed:
                return
            self._failed.add(failure.index)
            self._reasons[failure.path] = failure.reason
            if self.report is not None and failure.path not in self._reported:
                self._reported.add(failure.path)
                self._append(failure_line(failure))
            if len(self._failed) <= MAX_LOGGED:
                logger.warning("Skipped a record: %s", failure.reason)
            if len(self._failed) == MAX_LOGGED:
                logger.warning("No more of them are logged; the report of failures lists all.")
            failed, share = len(self._failed), self.max_failure_share
            seen = max(self._num_seen, LEAST_RECORDS_SEEN)
            if failed < self.num_records and failed <= share * seen:
                return
            where = f" All are listed in {self.report!r}." if self.report else ""
            reason = failure.reason.rstrip(".")
            self._error = TooManyFailuresError(
                f"{failed} of the {max(self._num_seen, failed)} records seen so far cannot be "
                f"read, and the limit is a share of {share:g}. The latest: {failure.path!r}: "
                f"{reason}.{where} `keras-tdn check` finds all bad files beforehand; "
                "`max_failure_share` raises the limit."
            )
            raise self._error

    def _append(self, line: bytes) -> None:
        try:
            with open(self.report or "", "a+b") as file:
                file.seek(0, os.SEEK_END)
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    # What a crash left half written must not swallow this line.
                    line = line if file.read(1) == b"\n" else b"\n" + line
                # One write at the end of the file, which other processes' do not get mixed into.
                file.write(line)
        except OSError as error:
            raise ValueError(
                f"The report of failures cannot be written to {self.report!r}: {error.strerror}. "
                "Pass a path in a folder that exists and is writable."
            ) from error


def failure_line(failure: Failure) -> bytes:
    """Returns a failure as a line of a report, with its line end."""
    text = json.dumps(dataclasses.asdict(failure), ensure_ascii=False)
    # File names may have bytes that are no text. What stands for one becomes an escape of JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def read_failures(report: str | os.PathLike[str]) -> list[Failure]:
    """Reads the failures that a report lists; a line that a crash left half written is skipped."""
    failures = []
    try:
        # Not `splitlines`, which also splits at separators that a file name may have.
        lines = Path(report).read_text("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ValueError(
            f"The report of failures {os.fspath(report)!r} cannot be read: {error.strerror}."
        ) from error
    for line in lines:
        try:
            entry = json.loads(line)
            failures.append(Failure(entry["path"], entry["index"], entry["reason"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return failures
