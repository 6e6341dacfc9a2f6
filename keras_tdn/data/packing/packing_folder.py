"""The folder of a packing, finished or not."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from keras_tdn.data.packing.index import INDEX_FILE, PackedShard
from keras_tdn.data.packing.plan import PackingPlan, differences
from keras_tdn.data.packing.shard_writer import TEMPORARY_SUFFIX, WORKPLACE, notes_path
from keras_tdn.data.packing.storage import write_whole

PLAN_FILE = "plan.json"


class PackingFolder:
    """Says what of a packing is done, and refuses one that was begun otherwise.

    Args:
        path: The folder; it is made if it is not there.

    Raises:
        ValueError: if it has files of something else, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._workplace = path / WORKPLACE
        self._index = path / INDEX_FILE
        try:
            path.mkdir(parents=True, exist_ok=True)
            strange = any(path.iterdir()) and not self._is_packing()
        except OSError as error:
            raise ValueError(
                f"Cannot pack into {str(path)!r}: {error.strerror}. Choose a folder that can be "
                "written."
            ) from error
        if strange:
            raise ValueError(
                f"Cannot pack into {str(path)!r}: it has files that are not of a packing. Choose "
                "an empty folder, or one that is not there yet."
            )

    def begin(self, plan: PackingPlan, overwrite: bool) -> dict[int, PackedShard]:
        """Prepares the folder for a plan, and returns what is noted of its shards.

        Raises:
            ValueError: if it was begun with other records or options, unless `overwrite`.
        """
        if overwrite:
            self._clear()
        header = plan.header()
        for begun in (self._read(self._index), self._read(self._workplace / PLAN_FILE)):
            found = differences(begun, header) if begun else []
            if found:
                raise ValueError(
                    f"{str(self.path)!r} was begun with {'; '.join(found)}. Pack with the same "
                    "list and options to go on, choose another folder, or pass overwrite=True (on "
                    "the command line --overwrite) to begin anew."
                )
        self._workplace.mkdir(exist_ok=True)
        for leftover in self._workplace.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        self._write(self._workplace / PLAN_FILE, header)
        return self.noted(plan)

    def finish(self, plan: PackingPlan, shards: list[PackedShard]) -> None:
        """Writes the index and removes what only an unfinished packing needs."""
        configs = [shard.to_config() for shard in shards]
        self._write(self._index, {**plan.header(), "shards": configs})
        shutil.rmtree(self._workplace, ignore_errors=True)

    def noted(self, plan: PackingPlan) -> dict[int, PackedShard]:
        """What is noted of each shard that was finished, now or by the run that made the index."""
        index = self._read(self._index) or {}
        configs: dict[int, Any] = dict(enumerate(index.get("shards", [])))
        for shard in range(plan.num_shards):
            configs[shard] = self._read(notes_path(self.path, shard)) or configs.get(shard)
        noted = {}
        for shard, config in configs.items():
            # Notes that cannot be read are of no use, and the shard is made again.
            with contextlib.suppress(KeyError, TypeError):
                noted[shard] = PackedShard.from_config(config)
        return noted

    def _is_packing(self) -> bool:
        return self._workplace.is_dir() or bool(self._read(self._index))

    def _clear(self) -> None:
        names = set()
        for begun in (self._read(self._index), self._read(self._workplace / PLAN_FILE)):
            options = (begun or {}).get("options", {})
            if options:
                names.add(f"{options['name']}-*-of-{options['num_shards']:05d}.tfrecord")
        # The index goes first: there is none of what is half gone.
        self._index.unlink(missing_ok=True)
        for name in names:
            for shard in self.path.glob(name):
                shard.unlink()
        shutil.rmtree(self._workplace, ignore_errors=True)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            content = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        temporary = self._workplace / f"{path.name}{TEMPORARY_SUFFIX}"
        write_whole(path, json.dumps(content, indent=1).encode(), temporary)
