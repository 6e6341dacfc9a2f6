"""How far a run is, and how fast against real time."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from keras_tdn.watching.window import Window
from keras_tdn.watching.windows import Watch

UPDATE_SECONDS = 0.2
WITH_END = "{l_bar}{bar}| {n:.0f} of {total:.0f} s [{elapsed}{postfix}]"
# A live video has no end to go towards.
ENDLESS = "{n:.0f} s [{elapsed}{postfix}]"


class WatchProgress:
    """A line on standard error, where that is a terminal.

    Args:
        watch: What is being watched.
        first_second: Where in the video this run begins.
        shown: Whether to show a line at all.
    """

    def __init__(self, watch: Watch, first_second: float, shown: bool) -> None:
        self._watch = watch
        self._first = first_second
        self._shown = shown
        self._started = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> WatchProgress:
        from tqdm import tqdm

        self._bar = tqdm(
            initial=round(self._first, 1),
            unit="s",
            bar_format=ENDLESS,
            mininterval=UPDATE_SECONDS,
            # `None` is tqdm's way to say: only on a terminal.
            disable=None if self._shown else True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def update(self, window: Window, best: str) -> None:
        """Takes the latest window into account, and the name of the class ahead in it."""
        if self._bar.disable:
            return
        duration = self._watch.duration
        if duration is None or duration < window.end:
            self._bar.total, self._bar.bar_format = None, ENDLESS
        else:
            self._bar.total, self._bar.bar_format = round(duration, 1), WITH_END
        self._bar.set_postfix_str(f"{self.speed(window):.1f}x real time, {best}", refresh=False)
        self._bar.update(window.end - self._bar.n)

    def speed(self, window: Window) -> float:
        """Seconds of video for each second of this run."""
        return (window.end - self._first) / max(time.monotonic() - self._started, 1e-9)
