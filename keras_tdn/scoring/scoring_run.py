"""A model over the views of many videos, batch by batch, and the journal of what it gave."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np

from keras_tdn.data.records import RecordList
from keras_tdn.files.journal import Journal
from keras_tdn.scoring.model_hash import model_sha256
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import (
    VideoViews,
    ViewProcesses,
    ViewReader,
    check_not_packed,
    is_passing,
    reason_of,
)

T = TypeVar("T")
ACTION = "evaluating"
# Keys of videos that cannot be read start with this.
FAILED = "video "
# How long a thread that has nowhere to put its item takes to notice that nobody wants it.
PATIENCE_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class ViewBatch:
    """Consecutive views of all videos, in a batch that always has the same size."""

    # uint8 of shape `(batch_size, frames, height, width, 3)`; black without a view.
    clips: np.ndarray
    # Bool of shape `(views,)`: not those of videos that cannot be read. The last batch may have
    # fewer views than clips.
    present: np.ndarray
    # Reasons by row of the videos that cannot be read.
    failures: Mapping[int, str]


def fill_batches(
    views: Iterable[tuple[int, np.ndarray | str]], clip_shape: tuple[int, ...], batch_size: int
) -> Generator[ViewBatch, None, None]:
    """Fills batches with views, each its video's row and its pixels or why it cannot be read."""
    views = iter(views)
    for first in views:
        clips = np.zeros((batch_size, *clip_shape), np.uint8)
        present: list[bool] = []
        failures: dict[int, str] = {}
        for row, view in itertools.chain([first], itertools.islice(views, batch_size - 1)):
            if isinstance(view, str):
                failures[row] = view
            else:
                clips[len(present)] = view
            present.append(row not in failures)
        yield ViewBatch(clips, np.array(present), failures)
        # Before the next one is read.
        del clips


def view_batches(
    read: Callable[[int], VideoViews],
    num_records: int,
    clip_shape: tuple[int, ...],
    options: ScoringOptions,
    first_view: int = 0,
    failures: Mapping[int, str] = MappingProxyType({}),
) -> Generator[ViewBatch, None, None]:
    """Reads records by several threads and fills batches with their views, in order.

    View `j` of record `i` is number `i * num_views + j`, whether or not the record can be read, so
    that what is in a batch depends on nothing but the number that it starts with.
    """
    known = dict(failures)
    num_views, num_workers = options.views.num_views, options.workers
    first_row, first_number = divmod(first_view, num_views)
    # Videos of the next two batches may wait, read, for their turn.
    num_ahead = num_workers + -(-2 * options.batch_size // num_views)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="keras_tdn_views")

    def load(row: int) -> VideoViews | str:
        if row in known:
            return known[row]
        try:
            return read(row)
        except Exception as error:
            # One bad video must not end a run, whatever it is; the reason says what it was. But
            # what would fail for any video is nothing to remember of this one.
            if is_passing(error):
                raise
            return reason_of(error)

    def videos() -> Iterator[VideoViews | str]:
        rest = iter(range(first_row, num_records))
        waiting: collections.deque[Future[VideoViews | str]] = collections.deque()
        while True:
            more = itertools.islice(rest, num_ahead - len(waiting))
            waiting.extend(pool.submit(load, row) for row in more)
            if not waiting:
                return
            yield waiting.popleft().result()

    def views() -> Iterator[tuple[int, np.ndarray | str]]:
        for row, video in enumerate(videos(), start=first_row):
            for number in range(first_number if row == first_row else 0, num_views):
                yield row, video if isinstance(video, str) else video.view(number)

    try:
        yield from fill_batches(views(), clip_shape, options.batch_size)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_ahead(
    items: Generator[T, None, None],
    depth: int | queue.Queue[Any] = 1,
    join_seconds: float | None = None,
) -> Generator[T, None, None]:
    """Makes items in a thread, so many ahead, and closes them there when the result is closed.

    `depth` is how many may wait, or the queue that they wait in. The end waits for the thread, but
    for `join_seconds` at most: a sender that blocks it cannot be interrupted.
    """
    ready: queue.Queue[Any] = queue.Queue(depth) if isinstance(depth, int) else depth
    unwanted = threading.Event()

    def put(kind: str, content: T | BaseException | None) -> bool:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, content), timeout=PATIENCE_SECONDS)
                return True
        return False

    def make() -> None:
        try:
            with contextlib.closing(items):
                if all(put("item", item) for item in items):
                    put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=make, name="keras_tdn_read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, content = ready.get()
            if kind == "end":
                return
            if isinstance(content, BaseException):
                raise content
            yield content
    finally:
        unwanted.set()
        # Of an iterator that was dropped, the garbage collector does this, perhaps in that thread.
        if threading.current_thread() is not thread:
            thread.join(join_seconds)


class ScoredViews(NamedTuple):
    """What the model gives for consecutive views."""

    # float32 of shape `(views, num_values)`, NaN where a video cannot be read.
    values: np.ndarray
    # Reasons by position of such videos.
    failures: Mapping[int, str]


def score_views(
    scorer: Scorer,
    records: RecordList,
    options: ScoringOptions,
    *,
    rows: Sequence[int] | None = None,
    first_view: int = 0,
    failures: Mapping[int, str] = MappingProxyType({}),
    reader: ViewReader | None = None,
) -> Generator[ScoredViews, None, None]:
    """Scores views of records in order, while the next videos are read.

    The video in position `i` of `rows`, by default all of the list, has the views from number
    `i * num_views` on. A batch starts with a multiple of the batch size after `first_view`, so that
    a run that is resumed behind a batch scores the same batches as one that was never stopped.
    `failures` are those known already, by position. Errors are the machine's; see `is_passing`.
    """
    rows = range(len(records)) if rows is None else rows
    if first_view >= len(rows) * options.views.num_views:
        return
    with contextlib.ExitStack() as stack:
        read_row: Callable[[int], VideoViews]
        if options.in_processes:
            check_not_packed(records)
            processes = ViewProcesses(options, scorer.spec)
            read_row = lambda row: processes(records[row])  # noqa: E731
        else:
            read_row = (reader or ViewReader(options, scorer.spec, records)).read_row
        read, shape = lambda position: read_row(rows[position]), scorer.clip_shape
        batches = view_batches(read, len(rows), shape, options, first_view, failures)
        ahead = stack.enter_context(contextlib.closing(read_ahead(batches)))
        if options.in_processes:
            # Before the threads that wait for them are waited for.
            stack.callback(processes.close)
        for batch in ahead:
            values = np.full((len(batch.present), scorer.num_values), np.nan, np.float32)
            if batch.present.any():
                found = scorer.score(batch.clips)[: len(batch.present)]
                values[batch.present] = found[batch.present]
            yield ScoredViews(values, batch.failures)


class ViewJournal:
    """The values of views in order, in memory and, with a path, in a `Journal` on the disk.

    That has an entry for each batch, by the number of its first view, with the batch's float32
    numbers, and one for each video that cannot be read, `video 7`, with the reason. On opening,
    batches count up to the first that is missing: each view is taken exactly once.
    """

    def __init__(
        self,
        path: Path | None,
        identity: Mapping[str, Any],
        num_videos: int,
        num_views: int,
        num_values: int,
        lock: str | None = ACTION,
    ) -> None:
        # NaN where there is none.
        self.values = np.full((num_videos * num_views, num_values), np.nan, np.float32)
        self.num_views = num_views
        # Views that have been taken.
        self.num_done = 0
        # Reasons by position of the videos that cannot be read.
        self.failures: dict[int, str] = {}
        self._journal = None if path is None else Journal(path, identity, lock=lock)

    def __enter__(self) -> ViewJournal:
        if self._journal is not None:
            self._read(self._journal.__enter__())
        return self

    def __exit__(self, *error: Any) -> None:
        if self._journal is not None:
            self._journal.__exit__(*error)

    @property
    def num_videos_done(self) -> int:
        """Videos of which all views have been taken."""
        return self.num_done // self.num_views

    @property
    def is_complete(self) -> bool:
        return self.num_done == len(self.values)

    def append(self, values: np.ndarray, failures: Mapping[int, str]) -> None:
        """Takes what `ScoredViews` has of the next views, and writes it down."""
        if self._journal is not None:
            # The batch comes last: only with it does the journal count these views.
            for position, reason in failures.items():
                if position not in self.failures:
                    self._journal.put(f"{FAILED}{position}", failure=reason)
            self._journal.put(self.num_done, np.ascontiguousarray(values, "<f4").tobytes())
        self._take(values)
        self.failures.update(failures)

    def _take(self, values: np.ndarray) -> None:
        self.values[self.num_done : self.num_done + len(values)] = values
        self.num_done += len(values)

    def _read(self, journal: Journal) -> None:
        whole = True
        for key, value, reason in journal.items():
            if isinstance(key, str):
                self.failures[int(key.removeprefix(FAILED))] = reason or ""
                continue
            # Behind what is missing there may be batches of another size, which end elsewhere.
            whole = whole and key <= self.num_done
            if whole and key == self.num_done and value is not None:
                self._take(np.frombuffer(value, "<f4").reshape(-1, self.values.shape[1]))


def score_videos(scorer: Scorer, videos: Sequence[VideoViews], batch_size: int) -> list[np.ndarray]:
    """Scores all views of videos that have been read, to `(views, num_values)` for each video."""
    if not videos:
        return []
    # Rows are for videos that cannot be read, of which there are none.
    views = ((0, video.view(number)) for video in videos for number in range(len(video)))
    batches = fill_batches(views, scorer.clip_shape, batch_size)
    parts = [scorer.score(batch.clips)[: len(batch.present)] for batch in batches]
    return np.split(np.concatenate(parts), np.cumsum([len(video) for video in videos])[:-1])


def scoring_identity(scorer: Scorer, decoder: str) -> dict[str, Any]:
    """What scores follow from besides the list, the views and the seed."""
    software = {"backend": keras.backend.backend(), "decoder": decoder}
    clip = scorer.spec.to_config()
    return {"weights": model_sha256(scorer.model), "clip": clip, "scores": scorer.kind, **software}
