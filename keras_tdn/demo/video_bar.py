"""How many videos are rendered, on the terminal."""

from __future__ import annotations

from typing import Any


class VideoBar:
    """A bar of videos; it is not shown where standard error is not a terminal.

    Args:
        shown: Whether to show it at all.
    """

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> VideoBar:
        from tqdm import tqdm

        # `None` is tqdm's way to say: only on a terminal.
        self._bar = tqdm(unit="video", disable=None if self._shown else True, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, ready: int, total: int) -> None:
        """Shows so many videos of all."""
        self._bar.total = total
        self._bar.update(ready - self._bar.n)
