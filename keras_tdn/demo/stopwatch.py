"""What each step took, of time and of the processor."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that is done.

    Args:
        name: What was done.
        seconds: How long it took.
        cpu_seconds: What it took of the processor's cores together, child processes included.
    """

    name: str
    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Times steps; the first one begins when this is made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._begun = _now()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a block."""
        begun = _now()
        yield
        self.steps.append(_since(begun, name))

    @property
    def total(self) -> Step:
        """All since this was made."""
        return _since(self._begun, "total")


def _now() -> tuple[float, float]:
    return time.perf_counter(), sum(os.times()[:4])


def _since(begun: tuple[float, float], name: str) -> Step:
    now = _now()
    return Step(name, now[0] - begun[0], now[1] - begun[1])
