"""A list of videos to a folder of shards, on this machine or on those of an Apache Beam runner."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tdn.data.failures import Failure, check_share
from keras_tdn.data.packing import shards as packing_shards
from keras_tdn.data.packing.index import PackedShard, PackOptions
from keras_tdn.data.packing.shards import PackingFolder, ShardTask
from keras_tdn.data.records import RecordList, load_records
from keras_tdn.data.records.load import RecordSource
from keras_tdn.files.locks import locked
from keras_tdn.files.resumable_folder import beam_errors, beam_options, check_shared
from keras_tdn.processes import exit_reason
from keras_tdn.progress import Progress
from keras_tdn.worker_pool import LostTaskError, WorkerPool, WorkerStartError, process_count

# A video at which this many processes died is given up: a decoder can crash on a damaged one.
DEATHS_PER_RECORD = 2
MAX_FAILURES_SHOWN = 3
# Counts shards that were finished before, among Beam's metrics.
KEPT = "kept_shards"


@dataclasses.dataclass(frozen=True)
class PackReport:
    """What a run of `pack` did, in `seconds`.

    Args:
        folder: Where the packing lies.
        num_records, num_frames, num_bytes, num_shards: What all of its shards have.
        num_kept_shards: Shards that an earlier run had finished.
        failures: Videos that could not be packed, with the reasons.
    """

    folder: str
    num_records: int
    num_frames: int
    num_bytes: int
    num_shards: int
    num_kept_shards: int
    failures: tuple[Failure, ...]
    seconds: float


def pack(
    records: RecordList | RecordSource,
    output: str | os.PathLike[str],
    *,
    short_side: int = 256,
    quality: int = 90,
    num_shards: int | None = None,
    name: str = "videos",
    num_processes: int | None = None,
    max_failure_share: float = 0.1,
    retry_failures: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> PackReport:
    """Packs videos into sharded TFRecords of JPEG frames.

    Use it once before training, where decoding video is what limits the speed: packed frames are
    decoded one by one, only those that a clip needs, and only the pixels of its crop. Each video is
    decoded once, with a single decoded frame in memory at a time.

    A run that was killed, at any moment, is finished by running it again with the same list and
    options, which alone decide every byte of the shards. Those that are finished, or belong to a
    finished packing, are compared with the SHA-256 noted of them, and made again if damaged.

    Frames are stored at their own size or smaller (`short_side`), resized with the antialiased
    bilinear filter of `read_frames`, which is that of the published models' test view, and encoded
    as baseline JPEG with chroma halved both ways, as nearly all video has it. A folder with frames
    in JPEG is packed as it is where no resize is needed.

    Args:
        records: What `load_records` returns, or takes.
        output: The folder to pack into: absent, empty or started before.
        short_side, quality, num_shards, name: See `PackOptions`.
        num_processes: Processes, one core each; `None` for as many as there are cores.
        max_failure_share: Share of the records that may fail, from 0 to 1. A video that cannot be
            read is left out, with the reason in the index; when more fail, the run stops.
        retry_failures: Whether to make shards again in which an earlier run left videos out.
        overwrite: Whether to start anew in a folder of another list or other options.
        progress: Whether to show how far it is: a bar on a terminal, a line now and then elsewhere.

    Returns:
        A `PackReport`. `load_packed_index` reads the same per shard and record.

    Raises:
        ValueError: if an argument is out of range, the folder was started otherwise or cannot be
            written, or too many videos fail.
        OSError: if a shard cannot be written, as on a full disk. What is finished stays.

    Example:

    >>> report = pack(load_records("train.txt"), "packed/train", num_processes=8)
    >>> report.num_records, len(report.failures)
    (150, 0)
    """
    started = time.monotonic()
    processes = process_count(num_processes)
    options = PackOptions(short_side, quality, num_shards, name)
    folder = _open(records, output, options, max_failure_share)
    done: dict[int, PackedShard] = {}
    kept = 0
    with (
        locked(folder.path),
        Progress("keras-tdn pack", folder.num_records, shown=progress) as display,
    ):
        tasks = folder.start(overwrite, retry_failures)
        # By shard, because a shard that is started again counts once.
        reached: Counter[int] = Counter()

        def reach(shard: int, place: int) -> None:
            num_failed = sum(len(shard.failures) for shard in list(done.values()))
            display.advance(place - reached[shard], failed=num_failed)
            reached[shard] = place

        try:
            for task, made, found in _make_shards(tasks, processes, reach):
                done[task.shard] = made
                kept += found
                reach(task.shard, len(task.records))
                _check_failures(done.values(), folder.num_records, max_failure_share)
        except WorkerStartError:
            raise
        except OSError as error:
            raise OSError(
                f"Cannot write to {str(folder.path)!r}: {error}. {len(done)} of "
                f"{folder.num_shards} shards are finished and stay; fix the cause and run the same "
                "again (on the command line with --resume)."
            ) from error
        return _finish(folder, done, kept, started)


def pack_with_beam(
    records: RecordList | RecordSource,
    output: str | os.PathLike[str],
    *,
    pipeline_options: Sequence[str] | Any = (),
    short_side: int = 256,
    quality: int = 90,
    num_shards: int | None = None,
    name: str = "videos",
    max_failure_share: float = 0.1,
    retry_failures: bool = False,
    overwrite: bool = False,
) -> PackReport:
    """Packs videos as `pack` does, on the machines of an Apache Beam runner.

    Use it for sets that outgrow one machine. The result is the same, byte for byte, and a run of
    either can be finished by the other. The videos and the output must lie on a file system that
    all workers and this process share under the same paths. Needs the extra `keras-tdn[beam]`, on
    the workers too. The share of failures is looked at when all shards are made.

    Args:
        records, output and the others: See `pack`.
        pipeline_options: Beam's, as on a command line (`["--runner=FlinkRunner", ...]`), or its
            `PipelineOptions`. By default the shards are made on this machine.

    Raises:
        ImportError: if Apache Beam is not installed.
        ValueError: as `pack` does, or if the pipeline fails; what is finished stays.

    Example:

    >>> report = pack_with_beam("train.txt", "/shared/packed", pipeline_options=["--runner=..."])
    """
    pipeline_options = beam_options(pipeline_options, "Packing", "`pack` uses the cores of")
    import apache_beam as beam

    started = time.monotonic()
    options = PackOptions(short_side, quality, num_shards, name)
    folder = _open(records, output, options, max_failure_share)
    with locked(folder.path):
        tasks = folder.start(overwrite, retry_failures)
        pipeline = beam.Pipeline(options=pipeline_options)
        _ = (
            pipeline
            | "Shards" >> beam.Create(tasks)
            # Without it a runner may give all shards to one worker.
            | "Spread" >> beam.Reshuffle()
            | "Pack" >> beam.Map(_finish_on_worker)
        )
        with beam_errors():
            result = pipeline.run()
            result.wait_until_finish()
        kept = sum(
            counter.committed or 0
            for counter in result.metrics().query()["counters"]
            if counter.key.metric.name == KEPT
        )
        made = folder.noted()
        check_shared(folder.path, len(made), folder.num_shards)
        _check_failures(made.values(), folder.num_records, max_failure_share)
        return _finish(folder, made, kept, started)


def _finish_on_worker(task: ShardTask) -> None:
    from apache_beam.metrics import Metrics

    _, found = packing_shards.finish_shard(task, lambda place: None)
    if found:
        Metrics.counter("keras_tdn", KEPT).inc()


def _open(
    records: RecordList | RecordSource,
    output: str | os.PathLike[str],
    options: PackOptions,
    max_failure_share: float,
) -> PackingFolder:
    check_share(max_failure_share)
    if not isinstance(records, RecordList):
        records = load_records(records)
    return PackingFolder(Path(output).absolute(), records, options)


def _make_shards(
    tasks: Sequence[ShardTask], num_processes: int, reach: Callable[[int, int], None]
) -> Iterator[tuple[ShardTask, PackedShard, bool]]:
    """Yields shards in any order, and whether they were finished before; `reach` gets places."""
    if num_processes == 1:
        for task in tasks:
            yield task, *packing_shards.finish_shard(task, functools.partial(reach, task.shard))
        return
    num_processes = min(num_processes, len(tasks))
    with WorkerPool(packing_shards.make_packer, num_processes=num_processes) as pool:

        def make(task: ShardTask) -> tuple[ShardTask, PackedShard, bool]:
            deaths: Counter[int] = Counter()
            places: list[int] = []

            def start(place: int) -> None:
                places.append(place)
                reach(task.shard, place)

            while True:
                places.clear()
                try:
                    return task, *pool.run(task, start)
                except LostTaskError as error:
                    end = exit_reason(error.exitcode)
                if not places:
                    raise ValueError(
                        f"A worker process ended with {end} before it started a video. Pass "
                        "num_processes=1 to see why."
                    )
                deaths[places[-1]] += 1
                if deaths[places[-1]] >= DEATHS_PER_RECORD:
                    reason = f"{DEATHS_PER_RECORD} processes ended with {end} while decoding it"
                    skipped = (*task.skipped, (places[-1], reason))
                    task = dataclasses.replace(task, skipped=skipped)

        yield from pool.map(make, tasks, ordered=False)


def _finish(
    folder: PackingFolder, made: Mapping[int, PackedShard], num_kept_shards: int, started: float
) -> PackReport:
    shards = [made[shard] for shard in range(folder.num_shards)]
    folder.finish(shards)
    records = [record for shard in shards for record in shard.records]
    failures = [failure for shard in shards for failure in shard.failures]
    return PackReport(
        str(folder.path),
        len(records),
        sum(record.num_frames for record in records),
        sum(shard.num_bytes for shard in shards),
        len(shards),
        num_kept_shards,
        tuple(sorted(failures, key=lambda failure: failure.index)),
        time.monotonic() - started,
    )


def _check_failures(
    shards: Iterable[PackedShard], num_records: int, max_failure_share: float
) -> None:
    failures = [failure for shard in shards for failure in shard.failures]
    if len(failures) <= max_failure_share * num_records:
        return
    shown = "; ".join(failure.reason for failure in failures[:MAX_FAILURES_SHOWN])
    raise ValueError(
        f"{len(failures)} of {num_records} videos cannot be packed, more than the share of "
        f"{max_failure_share:g} that may fail (max_failure_share). The first: {shown} Fix them and "
        "pass retry_failures=True (on the command line --resume --retry-failures), or allow more "
        "(there --resume --max-failure-share)."
    )
