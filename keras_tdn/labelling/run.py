"""A list of videos to rows of labels, in one call."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

import keras
import numpy as np

from keras_tdn.data.decoding import Decoder
from keras_tdn.data.records import RecordList
from keras_tdn.data.records.load import RecordSource
from keras_tdn.evaluation.batching import ViewBatch, view_batches
from keras_tdn.evaluation.frame_reading import FrameReader
from keras_tdn.evaluation.view_reading import VideoViews, ViewReader
from keras_tdn.files.locks import locked
from keras_tdn.labelling.labeller import Labeller
from keras_tdn.labelling.listing import list_videos
from keras_tdn.labelling.options import LabelOptions, check_positive
from keras_tdn.labelling.output_folder import LabelFolder
from keras_tdn.labelling.plan import LabelPlan
from keras_tdn.labelling.progress import LabelProgress
from keras_tdn.labelling.reading_ahead import read_ahead
from keras_tdn.labelling.reading_processes import (
    TIME_LIMIT,
    ReadingOptions,
    ReadingProcesses,
)
from keras_tdn.labelling.record_reading import check_not_packed
from keras_tdn.labelling.results import LabelReport, make_report
from keras_tdn.labelling.row_files import check_format
from keras_tdn.labelling.shard_making import ShardMaker
from keras_tdn.prediction import Labels
from keras_tdn.specs import ClipSpec

DEFAULT_BATCH_SIZE = 8
# Each holds the frames of a video; more than this rarely helps, and can be asked for.
MAX_DEFAULT_WORKERS = 8
# One in the making while one waits and one is with the model.
BATCHES_AHEAD = 1
FOLDER_VERB = "writing labels"


def label_videos(
    model: keras.Model,
    videos: RecordList | RecordSource,
    output: str | os.PathLike[str],
    options: LabelOptions = LabelOptions(),  # noqa: B008
    *,
    labels: Labels | None = None,
    clip_spec: ClipSpec | None = None,
    from_logits: bool | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    num_workers: int | None = None,
    in_processes: bool = False,
    time_limit: float = TIME_LIMIT,
    decoder: str | Decoder = "pyav",
    overwrite: bool = False,
    retry_failures: bool = False,
    progress: bool = True,
) -> LabelReport:
    """Labels many videos: top classes, scores and, if asked for, features of each, in files.

    Use it for archives; `predict_video` is for a video at hand, `evaluate` for accuracy. Videos are
    decoded ahead of the model, batches go across them, and with one centre view the scores are
    those of `predict_video`.

    **Rows.** Every listed video has one, in the order of the list: `index`, `path`, `labels`,
    `label_indices`, `scores`, maybe `features`, and `error`. A video that cannot be read has an
    `error` and no labels; it is also in `failures.jsonl`. It never ends the run.

    **Resumable.** Values are on the disk as soon as they are computed. A run that was killed, at
    any moment, goes on when it is called again with the same arguments, and ends with the same
    rows in the same order, none lost and none twice. Files that are there are compared with the
    SHA-256 noted of them, and made again where they differ. What was begun with another list,
    model or options is refused. `batch_size`, `num_workers` and `in_processes` may change.

    Args:
        model: A model from clips to scores of classes, such as `TDNResNet50`.
        videos: A `RecordList`, what `load_records` takes, or a folder of videos. Labels that it
            gives are of no concern.
        output: Folder for the rows, absent or empty or begun before.
        options: What rows say, and in what files they are.
        labels: Class names, as in `decode_predictions`. `None` takes the model's own.
        clip_spec: How clips are cut. `None` takes the model's own.
        from_logits: Whether the model's scores are logits; by default its last layer tells.
        batch_size: Views scored at once.
        num_workers: Videos read side by side; by default one per processor, at most 8.
        in_processes: Whether each is read in a process of its own, which a bad file may crash or
            hang.
        time_limit: Seconds that one video may take there.
        decoder: Name of the decoder of video files, or the decoder itself (not in processes).
        overwrite: Whether to begin anew in a folder that was begun otherwise.
        retry_failures: Whether to label shards again in which videos could not be read.
        progress: Whether to show videos per second and the time left: a bar on a terminal, a line
            each minute elsewhere.

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
    begun = time.monotonic()
    check_positive("batch_size", batch_size)
    if num_workers is None:
        num_workers = min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)
    check_positive("num_workers", num_workers)
    check_format(options.format)
    records = list_videos(videos)
    labeller = Labeller(model, options, labels=labels, clip_spec=clip_spec, from_logits=from_logits)
    name = decoder if isinstance(decoder, str) else type(decoder).__name__
    plan = LabelPlan(records, options, {**labeller.identity, "decoder": name})
    folder = LabelFolder(Path(output).absolute())
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(folder.path, FOLDER_VERB))
        whole = folder.begin(plan, overwrite, retry_failures)
        shards = [shard for shard in range(plan.num_shards) if shard not in whole]
        maker = ShardMaker(folder, plan, shards, labeller, whole.__setitem__, retry_failures)
        stack.enter_context(maker)
        num_kept = len(records) - maker.num_left
        if maker.num_left:
            read, stop_reading = _reader(
                records, labeller, decoder, num_workers, in_processes, time_limit
            )
            batches = _batches(maker, read, labeller, batch_size, num_workers)
            stack.enter_context(contextlib.closing(batches))
            # Before the threads that wait for them are waited for.
            stack.callback(stop_reading)
            bar = stack.enter_context(LabelProgress(len(records), num_kept, progress))
            _label(maker, batches, labeller, bar, len(records))
        folder.finish(plan, [whole[shard] for shard in range(plan.num_shards)])
    return make_report(folder.path, plan, whole, num_kept, time.monotonic() - begun)


def _label(
    maker: ShardMaker,
    batches: Generator[ViewBatch, None, None],
    labeller: Labeller,
    bar: LabelProgress,
    total: int,
) -> None:
    bad = set(maker.failures)
    for batch in batches:
        values = np.full((len(batch.present), labeller.num_values), np.nan, np.float32)
        if batch.present.any():
            found = labeller.values(batch.clips)[: len(batch.present)]
            values[batch.present] = found[batch.present]
        maker.append(values, batch.failures)
        bad |= set(batch.failures)
        bar.update(total - maker.num_left, len(bad))


def _batches(
    maker: ShardMaker,
    read: Callable[[int], VideoViews],
    labeller: Labeller,
    batch_size: int,
    num_workers: int,
) -> Generator[ViewBatch, None, None]:
    batches = view_batches(
        lambda position: read(maker.rows[position]),
        len(maker.rows),
        labeller.options.views.num_views,
        labeller.clip_shape,
        batch_size,
        first_view=maker.first_view,
        failures=maker.failures,
        num_workers=num_workers,
    )
    return read_ahead(batches, BATCHES_AHEAD)


def _reader(
    records: RecordList,
    labeller: Labeller,
    decoder: str | Decoder,
    num_workers: int,
    in_processes: bool,
    time_limit: float,
) -> tuple[Callable[[int], VideoViews], Callable[[], None]]:
    """What gives the views of the record in a row of the list, and what ends it."""
    options = labeller.options
    if not in_processes:
        frames = FrameReader(records, decoder)
        reader = ViewReader(frames, records, options.views, labeller.spec, options.seed)
        return reader.read, lambda: None
    check_not_packed(records)
    if not isinstance(decoder, str):
        raise ValueError(
            "Processes make decoders of their own. Pass the name of a decoder, such as 'pyav', or "
            f"leave out `in_processes`. Received: decoder={decoder!r}"
        )
    how = ReadingOptions(options.views, labeller.spec, options.seed, decoder)
    processes = ReadingProcesses(how, num_workers, time_limit)
    return lambda row: processes(records[row]), processes.close
