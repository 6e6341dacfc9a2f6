"""Views of many videos in batches of one size, read ahead by threads."""

from __future__ import annotations

import collections
import dataclasses
import errno
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from keras_tdn.evaluation.view_reading import VideoViews

Read = Callable[[int], VideoViews]

# What the system says when it, a disk or a network has a problem that no other file would be
# without. Not every system has all of them.
PASSING_ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "EDQUOT", "EHOSTDOWN", "EHOSTUNREACH", "EIO", "EMFILE", "ENETDOWN",
        "ENETUNREACH", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "ENOTCONN", "ESTALE", "ETIMEDOUT",
    )
    if hasattr(errno, name)
)  # fmt: skip
AMBIGUOUS = frozenset({errno.EAGAIN, errno.EIO, errno.ENOMEM})


@dataclasses.dataclass(frozen=True, eq=False)
class ViewBatch:
    """Consecutive views of all videos, in a batch that always has the same size.

    Args:
        clips: uint8 of shape `(batch_size, frames, height, width, 3)`; black where there is no
            view.
        present: Which of the views there are, bool of shape `(views,)`: not those of videos that
            cannot be read. The last batch may have fewer views than clips.
        failures: Reasons by row of the videos that cannot be read.
    """

    clips: np.ndarray
    present: np.ndarray
    failures: Mapping[int, str]


def view_batches(
    read: Read,
    num_records: int,
    num_views: int,
    clip_shape: tuple[int, ...],
    batch_size: int,
    *,
    first_view: int = 0,
    failures: Mapping[int, str] | None = None,
    num_workers: int = 1,
) -> Generator[ViewBatch, None, None]:
    """Batches of the views of all records, in order.

    View `j` of record `i` is number `i * num_views + j`, whether or not the record can be read, so
    that what is in a batch depends on nothing but the number that it begins with.

    Args:
        read: Gives the views of the record in a row; raises where it cannot be read.
        num_records: Records there are.
        num_views: Views of each.
        clip_shape: Shape of a view, `(frames, height, width, 3)`.
        batch_size: Views in a batch.
        first_view: Number to begin with.
        failures: Reasons by row of records that are known to be bad; they are not read.
        num_workers: Records read side by side. Those of the next two batches may wait, read, for
            their turn.

    Yields:
        Every view from `first_view` on, once.

    Raises:
        MemoryError: if there is no memory left to read a record with.
        OSError: likewise, of files that may be open, or of a disk or network that fails.
    """
    known = dict(failures or {})
    total = num_records * num_views
    rows = iter(range(first_view // num_views, num_records))
    num_ahead = num_workers + -(-2 * batch_size // num_views)
    waiting: collections.deque[Future[VideoViews | str]] = collections.deque()
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="keras_tdn_views")

    def load(row: int) -> VideoViews | str:
        if row in known:
            return known[row]
        try:
            return read(row)
        except Exception as error:
            # One bad video must not end an evaluation, whatever it is; the reason says what it was.
            # But what would fail for any video is nothing to remember of this one.
            if is_passing(error):
                raise
            return reason_of(error)

    def next_video() -> VideoViews | str:
        while len(waiting) < num_ahead:
            row = next(rows, None)
            if row is None:
                break
            waiting.append(pool.submit(load, row))
        return waiting.popleft().result()

    try:
        video: VideoViews | str | None = None
        for start in range(first_view, total, batch_size):
            count = min(batch_size, total - start)
            clips = np.zeros((batch_size, *clip_shape), np.uint8)
            present = np.zeros(count, bool)
            bad = {}
            for place in range(count):
                row, number = divmod(start + place, num_views)
                if video is None or number == 0:
                    video = next_video()
                if isinstance(video, str):
                    bad[row] = video
                else:
                    clips[place] = video.view(number)
                    present[place] = True
            yield ViewBatch(clips, present, bad)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def is_passing(error: BaseException | None) -> bool:
    """Whether the machine failed, rather than the video: read again, it may be fine.

    Args:
        error: What was raised. What it was raised from counts too.
    """
    while error is not None:
        is_of_python = type(error).__module__ == "builtins"
        # Decoders report damaged files by some of the same numbers.
        numbers = PASSING_ERRORS if is_of_python else PASSING_ERRORS - AMBIGUOUS
        if (
            isinstance(error, tf.errors.ResourceExhaustedError)
            or (isinstance(error, MemoryError) and is_of_python)
            or (isinstance(error, OSError) and error.errno in numbers)
        ):
            return True
        error = error.__cause__
    return False


def reason_of(error: Exception) -> str:
    """Why a video cannot be read, in words."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
