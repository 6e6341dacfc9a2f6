"""Labelling as an Apache Beam pipeline, for archives that outgrow one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.records.load import RecordSource
from keras_tdn.files.locks import locked
from keras_tdn.files.resumable_folder import beam_errors, beam_options, check_shared
from keras_tdn.labelling.label_folder import LabelFolder, LabelPlan
from keras_tdn.labelling.labeller import LabelOptions, Row, check_format
from keras_tdn.labelling.labelling_run import FOLDER_VERB, LabelReport, finish, list_videos
from keras_tdn.prediction import Labels
from keras_tdn.scoring.scoring_options import ReadingKeywords
from keras_tdn.scoring.views import check_not_packed

if TYPE_CHECKING:
    from keras_tdn.labelling.beam_handler import ModelSource

# Number, file name and videos of a shard.
ShardKey = tuple[int, str, int]


def label_with_beam(
    model: ModelSource,
    videos: RecordList | RecordSource,
    output: str | os.PathLike[str],
    options: LabelOptions = LabelOptions(),  # noqa: B008
    *,
    pipeline_options: Sequence[str] | Any = (),
    labels: Labels | None = None,
    overwrite: bool = False,
    retry_failures: bool = False,
    **reading: Unpack[ReadingKeywords],
) -> LabelReport:
    """Labels videos as `label_videos` does, on the machines of an Apache Beam runner.

    Use it for archives that outgrow one machine. The files are the same, and a run of either can be
    finished by the other: shards that are complete are kept, others are labelled again from their
    first video. All workers and this process must find the videos, the model and the output under
    the same paths; otherwise build a pipeline of your own with
    `keras_tdn.labelling.beam_transform.LabelVideos`. Workers need the extra `keras-tdn[beam]` too.

    Args:
        model: A preset (a folder, a name or `hf://organisation/name`) or a `.keras` file that all
            workers can load, or a function without arguments that gives the model there.
        videos: As `label_videos` takes it, like `output`, `options`, `labels`, `overwrite` and
            `retry_failures`. Not packed records.
        pipeline_options: Beam's, as on a command line (`["--runner=FlinkRunner", ...]`), or its
            `PipelineOptions`. By default this machine does the work.
        **reading: As `label_videos` takes it, but for `num_workers`. Without `in_processes` a file
            that crashes or hangs the decoder takes the worker with it.

    Returns:
        A `LabelReport`. `read_labels(output)` gives the rows.

    Raises:
        ImportError: if Apache Beam is not installed.
        ValueError: as `label_videos` does, or if the pipeline fails; what is finished stays.

    Example:

    >>> report = label_with_beam(
    ...     "/shared/my_preset", "archive.txt", "/shared/labels", pipeline_options=["--runner=..."]
    ... )
    """
    pipeline_options = beam_options(pipeline_options, "Labelling", "`label_videos` uses")
    import apache_beam as beam

    from keras_tdn.labelling.beam_transform import LabelVideos

    started = time.monotonic()
    check_format(options.format)
    records = list_videos(videos)
    check_not_packed(records)
    label = LabelVideos(model, options, labels=labels, **reading)
    plan = LabelPlan(records, options, label.identity)
    folder = LabelFolder(Path(output).absolute())
    with locked(folder.path, FOLDER_VERB):
        complete = folder.start(plan, overwrite, retry_failures)
        num_kept = sum(made.num_videos for made in complete.values())
        shards: list[tuple[ShardKey, list[Record]]] = []
        for shard in sorted({*range(plan.num_shards)} - {*complete}):
            records_of = plan.records_of(shard)
            shards.append(((shard, plan.name_of(shard), len(records_of)), records_of))
        if shards:
            with beam_errors():
                pipeline = beam.Pipeline(options=pipeline_options)
                _ = (
                    pipeline
                    | "Shards" >> beam.Create(shards)
                    | "Videos" >> beam.FlatMapTuple(_keyed_records)
                    # Without it a worker would label all videos of the shards that it was given.
                    | "Spread" >> beam.Reshuffle()
                    | "Label videos" >> label
                    | "Shard of each" >> beam.MapTuple(_by_shard)
                    | "By shard" >> beam.GroupByKey()
                    | "Write" >> beam.Map(_write, str(folder.path), options)
                )
                pipeline.run().wait_until_finish()
        complete = folder.complete_shards(plan)
        check_shared(folder.path, len(complete), plan.num_shards)
        return finish(folder, plan, complete, num_kept, started)


def _keyed_records(
    shard: ShardKey, records: list[Record]
) -> Iterator[tuple[tuple[ShardKey, int], Record]]:
    """The videos of a shard, each with what puts rows together again: the shard and its place."""
    for place, record in enumerate(records):
        yield (shard, place), record


def _by_shard(key: tuple[ShardKey, int], row: Row) -> tuple[ShardKey, tuple[int, Row]]:
    return key[0], (key[1], row)


def _write(
    shard_rows: tuple[ShardKey, Iterable[tuple[int, Row]]], folder: str, options: LabelOptions
) -> None:
    (shard, name, count), found = shard_rows
    rows = dict(found)
    if sorted(rows) != list(range(count)):
        raise ValueError(f"The runner gave {len(rows)} rows for {count} videos of {name!r}.")
    ordered = [rows[place] for place in range(count)]
    LabelFolder(Path(folder)).write_shard(shard, name, ordered, options)
