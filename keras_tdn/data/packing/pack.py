"""A list of videos to a folder of shards."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from keras_tdn.data.packing import shards as packing_shards
from keras_tdn.data.packing.index import FailedRecord, PackedShard
from keras_tdn.data.packing.packing_plan import PackingPlan, PackOptions, ShardTask
from keras_tdn.data.packing.shards import Job, PackingFolder
from keras_tdn.data.records import RecordList, load_records
from keras_tdn.data.records.load import RecordSource
from keras_tdn.files.locks import locked
from keras_tdn.processes import LostTaskError, WorkerPool, WorkerStartError, exit_reason
from keras_tdn.progress import Progress

# A video at which this many processes died is given up: a decoder can crash on a damaged one.
DEATHS_PER_RECORD = 2
MAX_FAILURES_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class PackReport:
    """What a run of `pack` did.

    Args:
        folder: Where the packing lies.
        num_records: Records that are packed.
        num_frames: Frames they have.
        num_bytes: Size of all shards.
        num_shards: Shards there are.
        num_kept_shards: Those among them that an earlier run had finished.
        failures: Videos that could not be packed, with the reasons.
        seconds: How long the run took.
    """

    folder: str
    num_records: int
    num_frames: int
    num_bytes: int
    num_shards: int
    num_kept_shards: int
    failures: tuple[FailedRecord, ...]
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
    max_failures: float = 0.1,
    retry_failures: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> PackReport:
    """Packs videos into sharded TFRecords of JPEG frames.

    Use it once before training, where decoding video is what limits the speed: packed frames are
    decoded one by one, only those that a clip needs, and only the pixels of its crop. Each video is
    decoded once, from start to end, with a single decoded frame in memory at a time.

    A run that was killed, at any moment, is finished by running it again with the same list and
    options, and ends with the same bytes as one that was not: the list and the options alone decide
    the shards, not the number of processes. Shards that are finished are compared with the SHA-256
    noted of them and kept. A finished packing is checked in the same way, and what is damaged is
    made again.

    Frames are stored at their own size or smaller (`short_side`), resized with the antialiased
    bilinear filter of `read_frames`, which is that of the published models' test view, and encoded
    as baseline JPEG with chroma halved both ways, as nearly all video has it. A folder with frames
    in JPEG is packed as it is where no resize is needed.

    Args:
        records: What `load_records` returns, or takes.
        output: The folder to pack into: absent, empty or started before.
        short_side: Pixels that a frame's short side is shrunk to; smaller frames stay as they are.
        quality: Of the JPEG frames, from 1 to 100.
        num_shards: Number of files; `None` for one per 64 records, but at least 16 where there are
            as many records.
        name: How the files' names start.
        num_processes: Processes, one core each; `None` for as many as there are cores.
        max_failures: Share of the records that may fail, from 0 to 1. A video that cannot be read
            is noted with the reason and left out; when more than this share fail, the run stops.
        retry_failures: Whether to make shards again in which an earlier run left videos out.
        overwrite: Whether to start anew in a folder of another list or other options.
        progress: Whether to show how far it is: a bar on a terminal, a line now and then elsewhere.

    Returns:
        A `PackReport`. The folder's `index.json` holds the same per shard and record;
        `load_packed_index` reads it.

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
    check_share(max_failures)
    processes = _num_processes(num_processes)
    if not isinstance(records, RecordList):
        records = load_records(records)
    plan = PackingPlan(records, PackOptions(short_side, quality, num_shards, name))
    folder = PackingFolder(Path(output).absolute())
    done: dict[int, PackedShard] = {}
    kept = 0
    with (
        locked(folder.path),
        Progress("keras-tdn pack", len(records), shown=progress) as display,
    ):
        jobs = folder.start(plan, overwrite)
        # By shard, because a shard that is started again counts once.
        reached: Counter[int] = Counter()

        def reach(shard: int, place: int) -> None:
            num_failed = sum(len(shard.failures) for shard in list(done.values()))
            display.advance(place - reached[shard], failed=num_failed)
            reached[shard] = place

        try:
            for task, shard, found in _make_shards(
                jobs, folder.path, retry_failures, processes, reach
            ):
                done[task.shard] = shard
                kept += found
                reach(task.shard, len(task.records))
                check_failures(done.values(), len(records), max_failures)
        except WorkerStartError:
            raise
        except OSError as error:
            raise OSError(
                f"Cannot write to {str(folder.path)!r}: {error}. {len(done)} of "
                f"{plan.num_shards} shards are finished and stay; fix the cause and run the same "
                "again."
            ) from error
        shards = [done[shard] for shard in range(plan.num_shards)]
        folder.finish(plan, shards)
    return make_report(folder.path, shards, kept, time.monotonic() - started)


def _make_shards(
    jobs: Sequence[Job],
    folder: Path,
    retry_failures: bool,
    num_processes: int,
    reach: Callable[[int, int], None],
) -> Iterator[tuple[ShardTask, PackedShard, bool]]:
    """Yields shards as they are finished, in any order, and whether they were before.

    `reach` is called with a shard and the place of each record that is started.
    """
    if num_processes == 1:
        for job in jobs:
            reach_here = functools.partial(reach, job[0].shard)
            yield job[0], *packing_shards.finish_shard(job, folder, retry_failures, reach_here)
        return
    with WorkerPool(
        packing_shards.make_packer,
        folder,
        retry_failures,
        num_processes=min(num_processes, len(jobs)),
    ) as pool:

        def make(job: Job) -> tuple[ShardTask, PackedShard, bool]:
            task, noted = job
            deaths: Counter[int] = Counter()
            places: list[int] = []
            shard = task.shard

            def start(place: int) -> None:
                places.append(place)
                reach(shard, place)

            while True:
                places.clear()
                try:
                    return task, *pool.run((task, noted), start)
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
                    task = task.without(places[-1], reason)

        yield from pool.map(make, jobs, ordered=False)


def make_report(
    folder: Path, shards: Sequence[PackedShard], num_kept_shards: int, seconds: float
) -> PackReport:
    """Sums up the shards of a packing."""
    failures = [failure for shard in shards for failure in shard.failures]
    return PackReport(
        str(folder),
        sum(len(shard.records) for shard in shards),
        sum(record.num_frames for shard in shards for record in shard.records),
        sum(shard.num_bytes for shard in shards),
        len(shards),
        num_kept_shards,
        tuple(sorted(failures, key=lambda failure: failure.index)),
        seconds,
    )


def check_failures(shards: Iterable[PackedShard], num_records: int, max_failures: float) -> None:
    """Raises a `ValueError` if more videos failed than may."""
    failures = [failure for shard in shards for failure in shard.failures]
    if len(failures) <= max_failures * num_records:
        return
    shown = "; ".join(failure.reason for failure in failures[:MAX_FAILURES_SHOWN])
    raise ValueError(
        f"{len(failures)} of {num_records} videos cannot be packed, more than the share of "
        f"{max_failures:g} that may fail (max_failures). The first: {shown} Fix them and pass "
        "retry_failures=True (on the command line --retry-failures), or allow more (there "
        "--max-failure-share)."
    )


def check_share(max_failures: float) -> None:
    """Raises a `ValueError` unless it is a share."""
    is_number = isinstance(max_failures, (int, float)) and not isinstance(max_failures, bool)
    if not is_number or not 0 <= max_failures <= 1:
        raise ValueError(
            "`max_failures` is the share of the records that may fail, from 0 to 1. "
            f"Received: max_failures={max_failures!r}"
        )


def _num_processes(num_processes: int | None) -> int:
    if num_processes is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if isinstance(num_processes, bool) or not isinstance(num_processes, int) or num_processes < 1:
        raise ValueError(
            "`num_processes` must be a positive integer or None. "
            f"Received: num_processes={num_processes!r}"
        )
    return num_processes
