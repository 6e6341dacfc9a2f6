"""Packing as an Apache Beam pipeline, for sets that outgrow one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tdn.data.packing import shards as packing_shards
from keras_tdn.data.packing.pack import PackReport, check_failures, check_share, make_report
from keras_tdn.data.packing.packing_plan import PackingPlan, PackOptions
from keras_tdn.data.packing.shards import Job, PackingFolder
from keras_tdn.data.records import RecordList, load_records
from keras_tdn.data.records.load import RecordSource
from keras_tdn.files.locks import locked

KEPT = "kept_shards"


def pack_with_beam(
    records: RecordList | RecordSource,
    output: str | os.PathLike[str],
    *,
    pipeline_options: Sequence[str] | Any = (),
    short_side: int = 256,
    quality: int = 90,
    num_shards: int | None = None,
    name: str = "videos",
    max_failures: float = 0.1,
    retry_failures: bool = False,
    overwrite: bool = False,
) -> PackReport:
    """Packs videos as `pack` does, on the machines of an Apache Beam runner.

    Use it for sets that outgrow one machine. The result is the same, byte for byte, and a run of
    either can be finished by the other. The videos and the output must lie on a file system that
    all workers and this process share under the same paths; a shard is made by one worker.

    Needs the extra `keras-tdn[beam]`, on the workers too. The share of failures is looked at when
    all shards are made.

    Args:
        records: What `load_records` returns, or takes.
        output: The folder to pack into.
        pipeline_options: Beam's, as on a command line (`["--runner=FlinkRunner", ...]`), or its
            `PipelineOptions`. By default the shards are made on this machine.
        short_side: As `pack` takes it, like all that follow.
        quality: Of the JPEG frames.
        num_shards: Number of files.
        name: How the files' names start.
        max_failures: Share of the records that may fail.
        retry_failures: Whether to make shards again in which videos were left out.
        overwrite: Whether to start anew in a folder of other options.

    Returns:
        A `PackReport`.

    Raises:
        ImportError: if Apache Beam is not installed.
        ValueError: as `pack` does, or if the pipeline fails; what is finished stays.

    Example:

    >>> report = pack_with_beam("train.txt", "/shared/packed", pipeline_options=["--runner=..."])
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ImportError(
            'Packing with Apache Beam needs its package: pip install "keras-tdn[beam]". Without '
            "it, `pack` uses the cores of this machine."
        ) from error
    started = time.monotonic()
    check_share(max_failures)
    if not isinstance(records, RecordList):
        records = load_records(records)
    plan = PackingPlan(records, PackOptions(short_side, quality, num_shards, name))
    folder = PackingFolder(Path(output).absolute())
    if not isinstance(pipeline_options, PipelineOptions):
        pipeline_options = PipelineOptions(list(pipeline_options))
    with locked(folder.path):
        jobs = folder.start(plan, overwrite)
        pipeline = beam.Pipeline(options=pipeline_options)
        _ = (
            pipeline
            | "Shards" >> beam.Create(jobs)
            # Without it a runner may give all shards to one worker.
            | "Spread" >> beam.Reshuffle()
            | "Pack" >> beam.Map(_run_job, folder.path, retry_failures)
        )
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            # Runners raise all sorts of errors for what went wrong on a worker.
            raise ValueError(
                f"The Beam pipeline failed: {error}. Shards that are finished stay; fix the cause "
                "and run the same again."
            ) from error
        kept = sum(
            counter.committed or 0
            for counter in result.metrics().query()["counters"]
            if counter.key.metric.name == KEPT
        )
        made = folder.noted(plan)
        if len(made) < plan.num_shards:
            raise ValueError(
                f"The Beam pipeline has run, but {plan.num_shards - len(made)} of "
                f"{plan.num_shards} shards are not in {str(folder.path)!r}. That folder must be "
                "one that all workers and this process share."
            )
        shards = [made[shard] for shard in range(plan.num_shards)]
        check_failures(shards, len(records), max_failures)
        folder.finish(plan, shards)
    return make_report(folder.path, shards, kept, time.monotonic() - started)


def _run_job(job: Job, folder: Path, retry_failures: bool) -> None:
    from apache_beam.metrics import Metrics

    _, found = packing_shards.finish_shard(job, folder, retry_failures, lambda place: None)
    if found:
        Metrics.counter("keras_tdn", KEPT).inc()
