"""Views read in processes of their own, which a bad video may crash or hang."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tdn.data.records import Record
from keras_tdn.processes import LostTaskError, WorkerPool, use_tensorflow_on_one_core
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import VideoViews, ViewReader, is_passing, reason_of
from keras_tdn.specs import ClipSpec

# A process may be ended for want of memory; that it was the video's fault, the second one shows.
DEATHS_PER_VIDEO = 2


class ViewProcesses:
    """Reads views in processes; called by as many threads as there are processes.

    Use it in place of threads alone where an archive may hold files that crash or hang a decoder,
    or where more processors decode than Python's lock lets threads use. A video that ends its
    process twice, or takes too long, is bad, and the next one gets a new process.

    Args:
        options: How videos are read. `num_workers` are processes; each takes some hundreds of
            megabytes for TensorFlow.
        clip_spec: The clip that the model takes.
    """

    def __init__(self, options: ScoringOptions, clip_spec: ClipSpec) -> None:
        self._pool = WorkerPool(
            make_view_reader,
            options,
            clip_spec,
            num_processes=options.workers,
            time_limit=options.time_limit,
            deaths_per_task=DEATHS_PER_VIDEO,
        )

    def __call__(self, record: Record) -> VideoViews:
        """Reads the views of a video file or a folder of frames.

        Raises:
            ValueError: if it cannot be read, or it crashes or hangs the decoder.
            OSError: if no process starts, or the machine fails.
        """
        try:
            found = self._pool.run(record)
        except LostTaskError as error:
            raise ValueError(f"Reading {record.path!r} {error}.") from None
        except OSError as error:
            # It says nothing of the video, and must not be taken for its fault.
            raise OSError(error.errno or errno.EIO, str(error)) from error
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def close(self) -> None:
        """Ends all processes, whatever they do; threads that wait for them get an error."""
        self._pool.close()


def make_view_reader(
    options: ScoringOptions, clip_spec: ClipSpec
) -> Callable[[Record, Any], VideoViews | str]:
    """Returns what each process calls with a record: its views, or why it cannot be read."""
    use_tensorflow_on_one_core()
    reader = ViewReader(options, clip_spec)

    def read(record: Record, send: Any) -> VideoViews | str:
        try:
            views = reader.read(record)
        except Exception as error:
            if is_passing(error):
                # The cause is not sent along with an exception.
                raise OSError(errno.EIO, reason_of(error)) from error
            return reason_of(error)
        # What lies in one piece is sent without a copy.
        return VideoViews([np.ascontiguousarray(crop) for crop in views.crops], views.positions)

    return read
