"""Folders that long work fills shard by shard, and continues after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tdn.files.atomic import TEMPORARY_SUFFIX, write_whole
from keras_tdn.files.journal import check_same
from keras_tdn.files.locks import LOCK_FILE

PLAN_FILE = "plan.json"
# Where results wait that are being replaced, until the new ones are whole.
REPLACED = ".replaced"


@dataclasses.dataclass(frozen=True)
class FolderKind:
    """What kind of work a folder holds, in files and in words."""

    # The file that only a finished folder has, and the folder that only an unfinished one needs.
    index: str
    workplace: str
    # "Cannot pack into", "files that are not of a packing", "Pack with the same list to continue".
    action: str
    noun: str
    same: str


class ResumableFolder:
    """A folder, made if needed, for one plan; one with files of something else is refused."""

    def __init__(self, path: Path, kind: FolderKind) -> None:
        self.path = path
        self.workplace = path / kind.workplace
        self._index = path / kind.index
        self._kind = kind
        try:
            path.mkdir(parents=True, exist_ok=True)
            there = set(os.listdir(path)) - {LOCK_FILE, REPLACED}
            strange = there and not self.workplace.is_dir() and not read_object(self._index)
        except OSError as error:
            raise ValueError(
                f"Cannot {kind.action} {str(path)!r}: {error.strerror}. Choose a folder that can "
                "be written."
            ) from error
        if strange:
            raise ValueError(
                f"Cannot {kind.action} {str(path)!r}: it has files that are not of a {kind.noun}. "
                "Choose an empty folder, or one that is not there yet."
            )

    def prepare(self, header: Mapping[str, Any]) -> None:
        """Makes the workplace for a plan with this identity, of JSON values; refuses another."""
        self._restore_replaced()
        # As it is read back: tuples are lists there.
        header = json.loads(json.dumps(header))
        for started in self.headers():
            known = {name: started.get(name) for name in header}
            advice = f"{self._kind.same} to continue, choose another folder"
            check_same(self.path, known, header, advice)
        self.workplace.mkdir(exist_ok=True)
        for leftover in self.workplace.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        self.write(self.workplace / PLAN_FILE, header)

    def headers(self) -> list[dict[str, Any]]:
        found = (read_object(self._index), read_object(self.workplace / PLAN_FILE))
        return [header for header in found if header]

    def noted(self, num_shards: int, notes_path: Callable[[int], Path]) -> dict[int, Any]:
        """Returns the notes of each shard, of this run or of the one that wrote the index."""
        index = read_object(self._index) or {}
        configs: dict[int, Any] = dict(enumerate(index.get("shards", [])))
        for shard in range(num_shards):
            configs[shard] = read_object(notes_path(shard)) or configs.get(shard)
        return configs

    def conclude(self, header: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> None:
        """Writes the index, and removes what only an unfinished folder needs."""
        self.write(self._index, {**header, "shards": shards})
        for folder in (self.workplace, self.path / REPLACED):
            shutil.rmtree(folder, ignore_errors=True)

    def clear(self, patterns: Iterable[str]) -> None:
        """Makes room for other files of these patterns.

        Finished ones wait in `.replaced`, a whole folder of its kind, until `conclude` removes it.
        """
        self._restore_replaced()
        made = [path for pattern in patterns for path in self.path.glob(pattern)]
        if self._index.exists():
            # With a workplace, the folder is one that was started, whenever the process ends.
            self.workplace.mkdir(exist_ok=True)
            replaced = self.path / REPLACED
            shutil.rmtree(replaced, ignore_errors=True)
            replaced.mkdir()
            # The index goes last: until it is there, what has gone before comes back.
            for path in (*made, self._index):
                os.replace(path, replaced / path.name)
        for path in made:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.workplace, ignore_errors=True)

    def _restore_replaced(self) -> None:
        """Brings back what a `clear` had moved away when it was killed."""
        replaced = self.path / REPLACED
        if replaced.is_dir() and not (replaced / self._index.name).exists():
            for path in replaced.iterdir():
                os.replace(path, self.path / path.name)
            replaced.rmdir()

    def temporary(self, name: str) -> Path:
        """Returns a path that no other process uses, to write a file to at first."""
        return self.workplace / f"{name}.{os.getpid()}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"

    def write(self, path: Path, content: Mapping[str, Any]) -> None:
        """Writes JSON atomically."""
        write_whole(path, json.dumps(content, indent=1).encode(), self.temporary(path.name))


def beam_options(given: Sequence[str] | Any, work: str, instead: str) -> Any:
    """Returns Beam's `PipelineOptions`; without Beam an `ImportError` says what does the `work`."""
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ImportError(
            f'{work} with Apache Beam needs its package: pip install "keras-tdn[beam]". Without '
            f"it, {instead} this machine."
        ) from error
    return given if isinstance(given, PipelineOptions) else PipelineOptions(list(given))


@contextlib.contextmanager
def beam_errors() -> Iterator[None]:
    """Within the block, errors say how to continue the run of a Beam pipeline."""
    try:
        yield
    except Exception as error:
        # Runners raise all sorts of errors for what went wrong on a worker.
        raise ValueError(
            f"The Beam pipeline failed: {error}. Shards that are finished stay; fix the cause "
            "and run the same again (on the command line with --resume)."
        ) from error


def check_shared(folder: Path, made: int, num_shards: int) -> None:
    """Raises a `ValueError` if Beam's workers wrote shards elsewhere than into this folder."""
    if made < num_shards:
        raise ValueError(
            f"The Beam pipeline has run, but {num_shards - made} of {num_shards} shards are not in "
            f"{str(folder)!r}. That folder must be one that all workers and this process share."
        )


def check_unused(path: str | os.PathLike[str]) -> None:
    """Raises a `ValueError` if a folder has files in it, as one that a run was started in has."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if set(os.listdir(path)) - {LOCK_FILE}:
            raise ValueError(
                f"{os.fspath(path)!r} has results already. Pass --resume to continue a run that "
                "was stopped, --overwrite to replace them, or choose another folder."
            )


def check_results(folder: Path, names: Sequence[str], resume: bool, overwrite: bool) -> list[str]:
    """Returns which of a run's results are in a folder; refuses what may not be changed."""
    if resume and overwrite:
        raise ValueError(
            "Resuming continues the run in the folder and overwriting removes its results. Pass "
            "one of `resume` and `overwrite`."
        )
    if folder.exists() and not folder.is_dir():
        text = f"{str(folder)!r} is a file. Results go into a folder; choose another place."
        raise ValueError(text)
    there = [name for name in names if (folder / name).exists()]
    if there and not (resume or overwrite):
        raise ValueError(
            f"{str(folder)!r} has results already: {', '.join(there)}. Choose another folder, "
            "continue with resume=True (on the command line --resume), or replace them with "
            "overwrite=True (--overwrite)."
        )
    return there


def read_object(path: Path) -> dict[str, Any] | None:
    """Returns the object in a JSON file, or `None` if it cannot be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
