"""A list of videos to rows of labels, in one call."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import keras

from keras_tdn.data.failures import Failure
from keras_tdn.data.packing.index import is_packed
from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.records.class_folders import Skipped, videos_below, warn_of_skipped
from keras_tdn.data.records.load import RecordSource, load_records
from keras_tdn.data.records.record import check_indices
from keras_tdn.data.records.rows import VIDEO_SUFFIXES
from keras_tdn.files.locks import locked
from keras_tdn.files.resumable_folder import read_object
from keras_tdn.labelling import label_folder
from keras_tdn.labelling.label_folder import LabelFolder, LabelPlan, ShardMaker
from keras_tdn.labelling.labeller import Labeller, LabelOptions, Row, check_format, read_rows
from keras_tdn.prediction import Labels
from keras_tdn.progress import Progress
from keras_tdn.scoring.scoring_options import ReadingKeywords
from keras_tdn.scoring.scoring_run import score_views

FOLDER_VERB = "writing labels"


@dataclasses.dataclass(frozen=True)
class LabelReport:
    """What a run of `label_videos` or `label_with_beam` did.

    Args:
        folder: Where the rows lie.
        num_videos: Videos there are rows of, bad ones included.
        num_kept: Those that an earlier run had labelled.
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


def label_videos(
    model: keras.Model,
    videos: RecordList | RecordSource,
    output: str | os.PathLike[str],
    options: LabelOptions = LabelOptions(),  # noqa: B008
    *,
    labels: Labels | None = None,
    overwrite: bool = False,
    retry_failures: bool = False,
    progress: bool = True,
    **reading: Unpack[ReadingKeywords],
) -> LabelReport:
    """Labels many videos: top classes, scores and, if asked for, features of each, in files.

    Use it for archives; with one centre view the scores are those of `predict_video`. Every listed
    video has a row, in the order of the list: `index`, `path`, `labels`, `label_indices`, `scores`,
    maybe `features`, and `error`, which says why a video cannot be read; it then has no labels, and
    is in `failures.jsonl` too.

    A run that was killed, at any moment, continues when it is called again with the same arguments,
    and ends with the same rows. What was started with another list, model or options is refused;
    `batch_size`, `num_workers` and `in_processes` may change.

    Args:
        model: A model from clips to scores of classes, such as `TDNResNet50`.
        videos: A `RecordList`, what `load_records` takes, or a folder; labels are ignored.
        output: Folder for the rows, absent, empty or of an unfinished run.
        options: What rows say, and in what files they are.
        labels: Class names, as in `decode_predictions`. `None` takes the model's own.
        overwrite: Whether to start anew in a folder that has another labelling.
        retry_failures: Whether to label shards again in which videos could not be read.
        progress: Whether to show how far the run is.
        **reading: How videos are read and scored: `clip_spec`, `from_logits`, `batch_size`,
            `num_workers`, `in_processes`, `time_limit` and `decoder` of
            `keras_tdn.scoring.scoring_options.ScoringOptions`.

    Returns:
        A `LabelReport`. `read_labels(output)` gives the rows.

    Raises:
        ValueError: if an argument does not fit, or the folder has something else.
        OSError: if rows cannot be written, as on a full disk. What is done stays.
        ImportError: if Parquet is asked for and its package is not installed.

    Example:

    >>> report = label_videos(model, "archive.txt", "labels", LabelOptions(top=3))
    >>> report.num_videos, len(report.failures)
    (10000, 2)
    """
    started = time.monotonic()
    options.scoring(**reading)
    check_format(options.format)
    records = list_videos(videos)
    labeller = Labeller(model, options, labels=labels, **reading)
    labeller.scorer.fold_for(len(records) * options.views.num_views)
    plan = LabelPlan(records, options, labeller.identity)
    folder = LabelFolder(Path(output).absolute())
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(folder.path, FOLDER_VERB))
        complete = folder.start(plan, overwrite, retry_failures)
        maker = stack.enter_context(ShardMaker(folder, plan, complete, labeller, retry_failures))
        num_kept = len(records) - maker.num_left
        if maker.num_left:
            known: Any = {"first_view": maker.first_view, "failures": maker.failures}
            known["rows"] = maker.rows
            scored = score_views(labeller.scorer, records, labeller.scoring, **known)
            stack.enter_context(contextlib.closing(scored))
            shown = Progress("keras-tdn label", len(records), done=num_kept, shown=progress)
            stack.enter_context(shown)
            bad = set(maker.failures)
            for views in scored:
                maker.append(views.values, views.failures)
                bad |= set(views.failures)
                shown.update(len(records) - maker.num_left, bad=len(bad))
        return finish(folder, plan, complete, num_kept, started)


def finish(
    folder: LabelFolder,
    plan: LabelPlan,
    shards: dict[int, label_folder.LabelShard],
    num_kept: int,
    started: float,
) -> LabelReport:
    """Finishes a folder whose shards are complete, and reports on the run since `started`."""
    made = [shards[shard] for shard in range(plan.num_shards)]
    folder.finish(plan, made)
    failures = tuple(failure for shard in made for failure in shard.failures)
    num_videos, seconds = len(plan.records), time.monotonic() - started
    return LabelReport(str(folder.path), num_videos, num_kept, len(made), failures, seconds)


def read_labels(folder: str | os.PathLike[str]) -> Iterator[Row]:
    """Yields the rows of a finished labelling: dicts by column, vectors as float32 arrays.

    Args:
        folder: The folder that `label_videos` or `label_with_beam` wrote to.

    Raises:
        ValueError: if the folder has no finished labelling.
        ImportError: if it is Parquet, and its package is not installed.

    Example:

    >>> [row["path"] for row in read_labels("labels") if row["error"]]
    ['/videos/empty.mp4']
    """
    path = Path(folder)
    index = read_object(path / label_folder.INDEX_FILE)
    if index is None:
        what = "has no labelling"
        if (path / label_folder.WORKPLACE).is_dir():
            what = "is not finished; label the same list again (on the command line with --resume)"
        raise ValueError(
            f"The folder {str(path)!r} {what}: there is no {label_folder.INDEX_FILE!r}. Pass the "
            "folder that label_videos or `keras-tdn label` wrote to."
        )
    names = [shard["name"] for shard in index["shards"]]
    return (row for name in names for row in read_rows(path / name))


def list_videos(source: RecordList | RecordSource, **how: Any) -> RecordList:
    """The videos to label, in order.

    Unlike training and evaluation, labelling does not need to know what videos show, takes any
    folder of videos, by name, and keeps files that are not there: they have a row that says so.
    `how` is `format`, `root`, `split` and `fold` of `load_records`.
    """
    how = {name: value for name, value in how.items() if value is not None}
    records = source if isinstance(source, RecordList) else _load(source, how)
    if not records:
        raise ValueError("There is nothing to label: the list has no videos.")
    check_indices(records)
    return records


def _load(source: RecordSource, how: dict[str, Any]) -> RecordList:
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source) and not how:
        if is_packed(source):
            from keras_tdn.data import load_packed

            return load_packed(source)
        return _videos_below(Path(source).expanduser().absolute())
    records = load_records(source, skip_missing=True, believe_labels=True, **how)
    every = sorted([*records, *records.missing_records()], key=operator.attrgetter("index"))
    return RecordList(every, records.labels, records.num_classes)


def _videos_below(folder: Path) -> RecordList:
    skipped = Skipped(list)
    paths = [str(folder / path) for path in videos_below(folder, os.curdir, skipped)]
    warn_of_skipped(folder, skipped)
    if not paths:
        raise ValueError(
            f"There is no video in the folder {str(folder)!r} or in those in it. Videos end in "
            f"{', '.join(VIDEO_SUFFIXES)}; a benchmark's folder of lists needs its `format` (on "
            "the command line --format)."
        )
    return RecordList(Record(path, None, index=index) for index, path in enumerate(paths))
