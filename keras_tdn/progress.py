"""The display of how far a long run is."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

# Where nobody watches a bar, lines go into the log of the job: one soon, and then now and then.
FIRST_LINE_SECONDS = 8.0
LINE_SECONDS = 60.0
_LIVE_SECONDS = "{desc}{n:.0f} s [{elapsed}{postfix}]"
_SECONDS = "{l_bar}{bar}| {n:.0f} of {total:.0f} s [{elapsed}{postfix}]"

_hidden = False


@contextlib.contextmanager
def hidden_progress() -> Iterator[None]:
    """Shows no progress of any run within the block, as `--quiet` asks."""
    global _hidden
    before, _hidden = _hidden, True
    try:
        yield
    finally:
        _hidden = before


class Progress:
    """Shows how far a run is: a bar on a terminal, and elsewhere a line now and then.

    It writes to standard error. Where that is no terminal, the first line comes within ten seconds,
    and then one comes each minute. Threads may update it. Use it as a context manager.

    Args:
        title: What runs, at the start of lines: "keras-tdn label".
        total: How much there is to do; `None` if that is not known.
        unit: What is counted, in the singular. "s" counts seconds of video.
        done: How much an earlier run has done, which does not count for the speed of this one.
        shown: Whether to show anything.
    """

    def __init__(
        self,
        title: str,
        total: float | None,
        *,
        unit: str = "video",
        done: float = 0,
        shown: bool = True,
    ) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self._first = done
        self.shown = shown and not _hidden
        self._figures = ""
        self._started = time.monotonic()
        self._mutex = threading.RLock()
        # On a terminal.
        self._bar: Any = None
        self._ended = threading.Event()

    def __enter__(self) -> Progress:
        if not self.shown:
            return self
        from tqdm import tqdm

        # `disable=None` is tqdm's way to say: only on a terminal.
        bar = tqdm(
            total=self.total, initial=self.done, unit=self.unit, bar_format=self._bar_format(),
            smoothing=0.05, dynamic_ncols=True, disable=None,
        )  # fmt: skip
        if bar.disable:
            seen = weakref.ref(self), self._ended
            threading.Thread(target=_write_lines, args=seen, name="progress", daemon=True).start()
        else:
            self._bar = bar
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, done: float, total: float | None = None, *notes: str, **figures: Any) -> None:
        """Shows how much is done, of how much if that is known only now, and notes and figures."""
        with self._mutex:
            before, self.done = self.done, done
            if total is not None:
                self.total = total
            if notes or figures:
                named = [f"{name} {value}" for name, value in figures.items()]
                self._figures = ", ".join([*notes, *named])
            if self._bar is not None:
                self._bar.total = self.total
                self._bar.bar_format = self._bar_format()
                self._bar.set_postfix_str(self._figures, refresh=False)
                self._bar.update(done - before)

    def advance(self, step: float = 1, **figures: Any) -> None:
        """Shows that `step` more is done; see `update`."""
        with self._mutex:
            self.update(self.done + step, **figures)

    def describe(self, text: str) -> None:
        with self._mutex:
            if self._bar is not None:
                self._bar.set_description_str(text)

    def write(self, line: str) -> None:
        with self._mutex:
            if self._bar is not None:
                self._bar.write(line, file=sys.stderr)
            elif self.shown and sys.stderr is not None:
                # Whoever reads standard error may have left.
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(line + "\n")
                    sys.stderr.flush()

    def close(self) -> None:
        """Leaves the terminal to others."""
        self._ended.set()
        with self._mutex:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def line(self, seconds: float) -> str:
        here, counted = self.done - self._first, self.unit != "s"
        units = f"{self.unit}s" if counted else self.unit
        parts = [f"{self.title}: {self.done:.0f} {units}"]
        if self.total:
            of_all = f"of {self.total:.0f} {units} ({self.done / self.total:.1%})"
            parts = [f"{self.title}: {self.done:.0f} {of_all}"]
        if here <= 0 or seconds <= 0:
            parts.append(f"no {self.unit} yet" if counted else "starting")
        else:
            if counted:
                parts.append(f"{here / seconds:.3g} {units}/s")
            if self.total:
                parts.append(f"{duration((self.total - self.done) * seconds / here)} left")
        return ", ".join(filter(None, [*parts, self._figures]))

    def _bar_format(self) -> str | None:
        if self.unit != "s":
            return None
        return _LIVE_SECONDS if self.total is None or self.total < self.done else _SECONDS


def _write_lines(display: weakref.ref[Progress], ended: threading.Event) -> None:
    """Writes lines until the display ends, or nobody has it any more."""
    wait = FIRST_LINE_SECONDS
    while not ended.wait(wait):
        progress = display()
        if progress is None:
            return
        progress.write(progress.line(time.monotonic() - progress._started))
        # None is kept while waiting.
        del progress
        wait = LINE_SECONDS


def duration(seconds: float) -> str:
    """Returns a time in words: "1 h 05 min", "2 min 03 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
