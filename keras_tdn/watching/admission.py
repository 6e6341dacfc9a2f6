"""Which segments of a live video are taken when the model is slower than the video."""

from __future__ import annotations

from collections.abc import Callable

from keras_tdn.watching.layout import WindowLayout


class WindowAdmission:
    """Takes a live video's windows whole or not at all.

    A window is worth nothing with a hole in it, so leaving out single segments whenever the queue
    is full would lose every window once the model falls behind. Instead a window is promised at its
    first segment, while there is room for all of it, and then gets every segment. When too much
    waits, what follows is left out until the model has caught up, which gives long runs of windows
    that share their segments' work, and answers that do not come ever later.

    Args:
        layout: Where windows lie.
        waiting: How many segments wait for the model. There must be room for `capacity`.

    Example:

    >>> admission = WindowAdmission(layout, waiting=queue.qsize)
    >>> [index for index in range(100) if admission(index)]
    """

    def __init__(self, layout: WindowLayout, waiting: Callable[[], int]) -> None:
        self._layout = layout
        self._waiting = waiting
        self._is_behind = False
        # The first segment that no window has been promised.
        self._promised = 0

    @staticmethod
    def capacity(layout: WindowLayout) -> int:
        """Segments that may have to wait: a window's before one is promised, and that one's."""
        return 2 * layout.num_segments

    def __call__(self, index: int) -> bool:
        """Whether to take that segment. Segments are asked about in order, each once."""
        layout = self._layout
        if layout.is_first(index):
            self._is_behind = self._waiting() > (0 if self._is_behind else layout.num_segments)
            if not self._is_behind:
                self._promised = index + layout.num_segments
        if layout.is_used(index):
            return index < self._promised
        # Cheap, but the reader of a live video must not be made to wait.
        return self._waiting() < self.capacity(layout)
