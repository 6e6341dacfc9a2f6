"""Views of many videos in batches of one size, read ahead of the model."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import VideoViews, is_passing, reason_of

Read = Callable[[int], VideoViews]
T = TypeVar("T")
# How long a thread that has nowhere to put its item takes to notice that nobody wants it.
PATIENCE_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class ViewBatch:
    """Consecutive views of all videos, in a batch that always has the same size.

    Args:
        clips: uint8 of shape `(batch_size, frames, height, width, 3)`; black without a view.
        present: Bool of shape `(views,)`: not those of videos that cannot be read. The last batch
            may have fewer views than clips.
        failures: Reasons by row of the videos that cannot be read.
    """

    clips: np.ndarray
    present: np.ndarray
    failures: Mapping[int, str]


def fill_batches(
    views: Iterable[tuple[int, np.ndarray | str]], clip_shape: tuple[int, ...], batch_size: int
) -> Generator[ViewBatch, None, None]:
    """Fills batches with views, across videos, in order.

    `views` are, for each, the row of its video, and its pixels or why it cannot be read.
    """
    clips: np.ndarray | None = None
    for row, view in views:
        if clips is None:
            clips = np.zeros((batch_size, *clip_shape), np.uint8)
            present: list[bool] = []
            failures: dict[int, str] = {}
        if isinstance(view, str):
            failures[row] = view
        else:
            clips[len(present)] = view
        present.append(row not in failures)
        if len(present) == batch_size:
            yield ViewBatch(clips, np.array(present), failures)
            clips = None
    if clips is not None:
        yield ViewBatch(clips, np.array(present), failures)


def view_batches(
    read: Read,
    num_records: int,
    clip_shape: tuple[int, ...],
    options: ScoringOptions,
    *,
    first_view: int = 0,
    failures: Mapping[int, str] | None = None,
) -> Generator[ViewBatch, None, None]:
    """Reads records by several threads and fills batches with their views, in order.

    View `j` of record `i` is number `i * num_views + j`, whether or not the record can be read, so
    that what is in a batch depends on nothing but the number that it starts with. Videos of the
    next two batches may wait, read, for their turn.

    Args:
        read: Gives the views of the record in a row; raises where it cannot be read.
        num_records: Records there are.
        clip_shape: Shape of a view, `(frames, height, width, 3)`.
        options: Their `views`, `batch_size` and `num_workers`.
        first_view: Number of the first view that is wanted.
        failures: Reasons by row of records that are known to be bad; they are not read.

    Raises:
        MemoryError, OSError: if the machine fails, rather than a video; see `is_passing`.
    """
    known = dict(failures or {})
    num_views, num_workers = options.views.num_views, options.workers
    first_row, first_number = divmod(first_view, num_views)
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

    def views() -> Iterator[tuple[int, np.ndarray | str]]:
        waiting: collections.deque[Future[VideoViews | str]] = collections.deque()
        submitted = first_row
        for row in range(first_row, num_records):
            while submitted < num_records and len(waiting) < num_ahead:
                waiting.append(pool.submit(load, submitted))
                submitted += 1
            video = waiting.popleft().result()
            for number in range(first_number if row == first_row else 0, num_views):
                yield row, video if isinstance(video, str) else video.view(number)

    try:
        yield from fill_batches(views(), clip_shape, options.batch_size)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_ahead(items: Generator[T, None, None], depth: int = 1) -> Generator[T, None, None]:
    """Makes items in a thread, so many ahead.

    Use it between what prepares batches and a model: putting a batch together takes as long as a
    fast accelerator takes for it. What `items` raises is raised here, in its turn; it is closed, in
    that thread, when the result ends or is closed.

    Example:

    >>> list(read_ahead(number**2 for number in range(4)))
    [0, 1, 4, 9]
    """
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
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
                for item in items:
                    if not put("item", item):
                        return
        except BaseException as error:
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=make, name="keras_tdn_read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, content = ready.get()
            if kind == "end":
                return
            if isinstance(content, BaseException):
                raise content
            yield content  # type: ignore[misc]
    finally:
        unwanted.set()
        thread.join()
