"""How far a labelling is, how fast it goes and how long it will take."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

# Where nobody watches a bar, a line now and then goes into the log of the job.
LINE_SECONDS = 60.0


class LabelProgress:
    """A bar on standard error; a line each minute where that is no terminal.

    Args:
        total: Videos in all.
        done: Videos that an earlier run has labelled; they are no measure of this one's speed.
        shown: Whether to show anything.
    """

    def __init__(self, total: int, done: int, shown: bool = True) -> None:
        self._total = total
        self._begun_with = done
        self._done = done
        self._bad = 0
        self._shown = shown
        self._bar: Any = None
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> LabelProgress:
        from tqdm import tqdm

        self._begun = self._told = time.monotonic()
        self._bar = tqdm(
            total=self._total,
            initial=self._begun_with,
            unit="video",
            smoothing=0.05,
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

    def update(self, done: int, bad: int) -> None:
        """Notes how many videos are done in all, and how many of this run's are bad."""
        self._bar.set_postfix(bad=bad, refresh=False)
        self._bar.update(done - self._done)
        self._done, self._bad = done, bad
        now = time.monotonic()
        if self._shown and self._bar.disable and now - self._told >= LINE_SECONDS:
            self._told = now
            sys.stderr.write(self.line(now - self._begun) + "\n")
            sys.stderr.flush()

    def line(self, seconds: float) -> str:
        """The state after so many seconds, as one line."""
        from tqdm import tqdm

        here = self._done - self._begun_with
        if here == 0 or seconds <= 0:
            speed = "no video yet"
        else:
            left = tqdm.format_interval((self._total - self._done) * seconds / here)
            speed = f"{here / seconds:.3g} videos/s, {left} left"
        return (
            f"keras-tdn label: {self._done} of {self._total} videos "
            f"({self._done / self._total:.1%}), {speed}, {self._bad} bad"
        )
