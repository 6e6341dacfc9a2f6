"""What a labelling has given: a report, and its rows."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from keras_tdn.data.failures import Failure
from keras_tdn.labelling.labeller import Row
from keras_tdn.labelling.output_folder import LabelShard, load_index
from keras_tdn.labelling.plan import LabelPlan
from keras_tdn.labelling.row_files import read_rows


@dataclasses.dataclass(frozen=True)
class LabelReport:
    """What a run of `label_videos` or `label_with_beam` did.

    Args:
        folder: Where the rows lie.
        num_videos: Videos there are rows of, bad ones included.
        num_kept: Those among them that an earlier run had labelled.
        num_shards: Files of rows.
        failures: Videos that cannot be read, with the reasons, in the order of the list.
        seconds: How long the run took.
    """

    folder: str
    num_videos: int
    num_kept: int
    num_shards: int
    failures: tuple[Failure, ...]
    seconds: float

    @property
    def videos_per_second(self) -> float:
        """The rate of this run; 0 if there was nothing left to do."""
        return (self.num_videos - self.num_kept) / max(self.seconds, 1e-9)


def make_report(
    folder: Path, plan: LabelPlan, shards: dict[int, LabelShard], num_kept: int, seconds: float
) -> LabelReport:
    """Sums up the shards of a labelling."""
    failures = [failure for shard in sorted(shards) for failure in shards[shard].failures]
    return LabelReport(
        str(folder), len(plan.records), num_kept, plan.num_shards, tuple(failures), seconds
    )


def read_labels(folder: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of a finished labelling, in the order of the list, one in memory at a time.

    Args:
        folder: What `label_videos` or `label_with_beam` was told to write to.

    Returns:
        An iterator of dicts with the columns as keys; vectors are float32 arrays.

    Raises:
        ValueError: if the folder is none of a labelling that is finished.
        ImportError: if it is Parquet, and its package is not installed.

    Example:

    >>> [row["path"] for row in read_labels("labels") if row["error"]]
    ['/videos/empty.mp4']
    """
    path = Path(folder)
    names = [shard["name"] for shard in load_index(path)["shards"]]
    return (row for name in names for row in read_rows(path / name))
