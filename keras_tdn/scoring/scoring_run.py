"""A model over the views of many videos, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.data.records import RecordList
from keras_tdn.scoring.batches import fill_batches, read_ahead, view_batches
from keras_tdn.scoring.model_hash import model_sha256
from keras_tdn.scoring.reading_processes import ReadingProcesses
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import VideoViews, ViewReader, check_not_packed


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredViews:
    """What the model gives for consecutive views.

    Args:
        values: float32 of shape `(views, num_values)`, NaN where a video cannot be read.
        failures: Reasons by position of the videos that cannot be read.
    """

    values: np.ndarray
    failures: Mapping[int, str]


def score_views(
    scorer: Scorer,
    records: RecordList,
    options: ScoringOptions,
    *,
    rows: Sequence[int] | None = None,
    first_view: int = 0,
    failures: Mapping[int, str] | None = None,
    reader: ViewReader | None = None,
) -> Generator[ScoredViews, None, None]:
    """Scores views of records in order, while the next videos are read.

    Views are numbered through: those of the video in position `i` of `rows` start with
    `i * num_views`. A batch starts with a multiple of the batch size after `first_view`, so that a
    run that is resumed behind a batch scores the same batches as one that was never stopped.

    Args:
        scorer: The model.
        records: The list that the videos are in.
        options: How videos are read.
        rows: Rows of the list to score; all by default.
        first_view: Number of the first view that is wanted.
        failures: Reasons by position of videos that are known to be bad.
        reader: What reads the list, unless processes do. By default one is made.

    Yields:
        Every view from `first_view` on, once.

    Raises:
        MemoryError: if there is no memory left to read a video with.
        OSError: likewise, of files that may be open, or of a disk or network that fails.
    """
    rows = range(len(records)) if rows is None else rows
    with contextlib.ExitStack() as stack:
        read, stop_reading = _reading(scorer, records, options, reader)
        batches = view_batches(
            lambda position: read(rows[position]),
            len(rows),
            scorer.clip_shape,
            options,
            first_view=first_view,
            failures=failures,
        )
        ahead = stack.enter_context(contextlib.closing(read_ahead(batches)))
        # Before the threads that wait for it are waited for.
        stack.callback(stop_reading)
        for batch in ahead:
            values = np.full((len(batch.present), scorer.num_values), np.nan, np.float32)
            if batch.present.any():
                found = scorer.score(batch.clips)[: len(batch.present)]
                values[batch.present] = found[batch.present]
            yield ScoredViews(values, batch.failures)


def score_videos(scorer: Scorer, videos: Sequence[VideoViews], batch_size: int) -> list[np.ndarray]:
    """Scores all views of videos that have been read, in batches that go across them.

    Args:
        scorer: The model.
        videos: The views of each.
        batch_size: Views scored at once; what is missing in the last batch is black.

    Returns:
        For each video an array of shape `(views, num_values)`.
    """
    if not videos:
        return []
    views = (
        (row, video.view(number))
        for row, video in enumerate(videos)
        for number in range(len(video))
    )
    parts = [
        scorer.score(batch.clips)[: len(batch.present)]
        for batch in fill_batches(views, scorer.clip_shape, batch_size)
    ]
    ends = np.cumsum([len(video) for video in videos])
    return np.split(np.concatenate(parts), ends[:-1])


def scoring_identity(scorer: Scorer, decoder: str | None = None) -> dict[str, Any]:
    """What scores follow from besides the list, the views and the seed."""
    return {
        "weights": model_sha256(scorer.model),
        "clip": scorer.spec.to_config(),
        "scores": scorer.kind,
        "backend": keras.backend.backend(),
        **({} if decoder is None else {"decoder": decoder}),
    }


def _reading(
    scorer: Scorer, records: RecordList, options: ScoringOptions, reader: ViewReader | None
) -> tuple[Callable[[int], VideoViews], Callable[[], None]]:
    """What gives the views of the record in a row of the list, and what ends it."""
    if not options.in_processes:
        reader = reader or ViewReader(options, scorer.spec, records)
        return reader.read_row, lambda: None
    check_not_packed(records)
    processes = ReadingProcesses(options, scorer.spec)
    return lambda row: processes(records[row]), processes.close
