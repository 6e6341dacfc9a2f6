"""A folder that long work fills shard by shard, and that it finds again after a kill."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tdn.files.locks import LOCK_FILE
from keras_tdn.files.storage import write_whole

PLAN_FILE = "plan.json"
TEMPORARY_SUFFIX = ".tmp"


@dataclasses.dataclass(frozen=True)
class FolderKind:
    """What a folder is of, in files and in words.

    Args:
        index: The file that only a finished folder has.
        workplace: The folder in it with what only an unfinished one needs.
        action: What is done, as in "Cannot pack into".
        noun: What comes of it, as in "files that are not of a packing".
        same: How it goes on, as in "Pack with the same list to go on".
    """

    index: str
    workplace: str
    action: str
    noun: str
    same: str


class ResumableFolder:
    """Refuses what was begun otherwise, and knows what is noted of each shard.

    Args:
        path: The folder; it is made if it is not there.
        kind: What it is of.

    Raises:
        ValueError: if it has files of something else, or cannot be made.
    """

    def __init__(self, path: Path, kind: FolderKind) -> None:
        self.path = path
        self.workplace = path / kind.workplace
        self._index = path / kind.index
        self._kind = kind
        try:
            path.mkdir(parents=True, exist_ok=True)
            there = [name for name in os.listdir(path) if name != LOCK_FILE]
            strange = bool(there) and not self._is_begun()
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

    def prepare(
        self,
        header: Mapping[str, Any],
        differences: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]],
    ) -> None:
        """Makes the workplace for a plan.

        Args:
            header: What tells the plan from others.
            differences: What two headers differ in, for people.

        Raises:
            ValueError: if the folder was begun with another plan.
        """
        for begun in self.headers():
            found = differences(begun, header)
            if found:
                raise ValueError(
                    f"{str(self.path)!r} was started with {'; '.join(found)}. {self._kind.same} to "
                    "continue, choose another folder, or pass overwrite=True (on the command line "
                    "--overwrite) to start anew."
                )
        self.workplace.mkdir(exist_ok=True)
        for leftover in self.workplace.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        self.write(self.workplace / PLAN_FILE, header)

    def headers(self) -> list[dict[str, Any]]:
        """The headers that are written in the folder."""
        found = (read_object(self._index), read_object(self.workplace / PLAN_FILE))
        return [header for header in found if header]

    def noted(self, num_shards: int, notes_path: Callable[[int], Path]) -> dict[int, Any]:
        """What is noted of each shard, now or by the run that made the index."""
        index = read_object(self._index) or {}
        configs: dict[int, Any] = dict(enumerate(index.get("shards", [])))
        for shard in range(num_shards):
            configs[shard] = read_object(notes_path(shard)) or configs.get(shard)
        return configs

    def conclude(self, header: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> None:
        """Writes the index, and removes what only an unfinished folder needs."""
        self.write(self._index, {**header, "shards": shards})
        shutil.rmtree(self.workplace, ignore_errors=True)

    def clear(self, patterns: Iterable[str]) -> None:
        """Removes what was made, and files of these patterns."""
        # The index goes first: there is none of what is half gone.
        self._index.unlink(missing_ok=True)
        for pattern in patterns:
            for path in self.path.glob(pattern):
                path.unlink()
        shutil.rmtree(self.workplace, ignore_errors=True)

    def temporary(self, name: str) -> Path:
        """Where a file is written before it gets its name; no other process takes the same."""
        unique = f"{name}.{os.getpid()}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
        return self.workplace / unique

    def write(self, path: Path, content: Mapping[str, Any]) -> None:
        """Writes JSON, whole or not at all."""
        write_whole(path, json.dumps(content, indent=1).encode(), self.temporary(path.name))

    def _is_begun(self) -> bool:
        return self.workplace.is_dir() or bool(read_object(self._index))


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or `None` if there is none that can be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
