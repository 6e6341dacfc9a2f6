"""What a demo came to, and what each of its steps took."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_tdn.demo.folder import PAGE_FILE
from keras_tdn.demo.settings import DemoSettings

RESULT_FILE = "demo.json"
# Where things are in the folder.
VIDEOS, VIDEO, PRESET = "videos", "fresh.mp4", "preset"
EXPORT = Path("served_model", "1")


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
    """Times steps; the first one starts when this is made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._started = _now()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a block."""
        started = _now()
        yield
        self.steps.append(_since(started, name))

    @property
    def total(self) -> Step:
        """All since this was made."""
        return _since(self._started, "total")


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """What a demo came to. Shares are from 0 to 1.

    Args:
        folder: Where all of it is.
        settings: How large it was.
        top1: Share of held-out videos that the TDN labels right.
        baseline_top1: Share that the same network labels right without its temporal modules.
        chance: Share that guessing labels right.
        label: What the fresh video shows.
        answer: What the export says of it, label and score, highest first.
        steps: What each step took.
        total: What all took.
    """

    folder: Path
    settings: DemoSettings
    top1: float
    baseline_top1: float
    chance: float
    label: str
    answer: tuple[tuple[str, float], ...]
    steps: tuple[Step, ...]
    total: Step

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / PAGE_FILE

    @property
    def preset(self) -> Path:
        """The TDN, for every other command."""
        return self.folder / PRESET

    @property
    def export(self) -> Path:
        """The TDN as a SavedModel."""
        return self.folder / EXPORT

    @property
    def video(self) -> Path:
        """The fresh video."""
        return self.folder / VIDEO

    def to_json(self) -> str:
        """Everything but the folder."""
        content: dict[str, Any] = dataclasses.asdict(self)
        del content["folder"]
        return json.dumps(content, indent=1) + "\n"


def _now() -> tuple[float, float]:
    return time.perf_counter(), sum(os.times()[:4])


def _since(started: tuple[float, float], name: str) -> Step:
    now = _now()
    return Step(name, now[0] - started[0], now[1] - started[1])
