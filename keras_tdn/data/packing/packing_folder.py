"""The folder of a packing, finished or not."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from keras_tdn.data.packing.index import INDEX_FILE, PackedShard
from keras_tdn.data.packing.plan import PackingPlan, differences
from keras_tdn.data.packing.shard_writer import WORKPLACE, notes_path
from keras_tdn.files.resumable_folder import FolderKind, ResumableFolder

KIND = FolderKind(
    INDEX_FILE, WORKPLACE, "pack into", "packing", "Pack with the same list and options"
)


class PackingFolder:
    """Says what of a packing is done, and refuses one that was begun otherwise.

    Args:
        path: The folder; it is made if it is not there.

    Raises:
        ValueError: if it has files of something else, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = ResumableFolder(path, KIND)

    def begin(self, plan: PackingPlan, overwrite: bool) -> dict[int, PackedShard]:
        """Prepares the folder for a plan, and returns what is noted of its shards.

        Raises:
            ValueError: if it was begun with other records or options, unless `overwrite`.
        """
        if overwrite:
            self._folder.clear(self._shard_patterns())
        self._folder.prepare(plan.header(), differences)
        return self.noted(plan)

    def finish(self, plan: PackingPlan, shards: list[PackedShard]) -> None:
        """Writes the index and removes what only an unfinished packing needs."""
        self._folder.conclude(plan.header(), [shard.to_config() for shard in shards])

    def noted(self, plan: PackingPlan) -> dict[int, PackedShard]:
        """What is noted of each shard that was finished, now or by the run that made the index."""
        noted = {}
        path_of = functools.partial(notes_path, self.path)
        for shard, config in self._folder.noted(plan.num_shards, path_of).items():
            # Notes that cannot be read are of no use, and the shard is made again.
            with contextlib.suppress(KeyError, TypeError):
                noted[shard] = PackedShard.from_config(config)
        return noted

    def _shard_patterns(self) -> set[str]:
        begun = [header["options"] for header in self._folder.headers() if header.get("options")]
        return {f"{options['name']}-*-of-{options['num_shards']:05d}.tfrecord" for options in begun}
