"""Reading ahead: segments are decoded beside the model's work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from keras_tdn.watching.segments import Segment

# How often a thread that waits looks whether it should end.
POLL_SECONDS = 0.1
# A sender that is waited for cannot be interrupted; its thread ends with the process.
JOIN_SECONDS = 2.0


class SegmentFeed:
    """Segments from a thread that reads ahead as far as there is room.

    Args:
        make_segments: Called with a function that tells how many segments wait, gives the segments.
        room: The most segments that wait at a time.

    Example:

    >>> with contextlib.closing(SegmentFeed(make_segments, room=8)) as feed:
    ...     for segment in feed:
    ...         ...
    """

    def __init__(
        self, make_segments: Callable[[Callable[[], int]], Iterator[Segment]], room: int
    ) -> None:
        self._queue: queue.Queue[Segment | BaseException | None] = queue.Queue(room)
        self._make_segments = make_segments
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keras_tdn segments", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Segment]:
        while not self._stopped.is_set():
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stops reading; what waits is dropped."""
        self._stopped.set()
        # Of an iterator that was dropped, the garbage collector does this, perhaps in that thread.
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        end: BaseException | None = None
        segments = self._make_segments(self._queue.qsize)
        try:
            for segment in segments:
                if not self._put(segment):
                    return
        except BaseException as error:
            # Told where the segments are asked for.
            end = error
        finally:
            close = getattr(segments, "close", None)
            if close is not None:
                close()
        self._put(end)

    def _put(self, item: Segment | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
