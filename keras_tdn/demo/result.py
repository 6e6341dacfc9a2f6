"""How large a demo is, what it came to, and what each of its steps took."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_tdn.choices import DEMO_EPOCHS
from keras_tdn.datasets.motion import MOTION_LABELS
from keras_tdn.training import Recipe
from keras_tdn.training.recipes import motion

# Where things are in the folder.
PAGE_FILE, RESULT_FILE = "index.html", "demo.json"
VIDEOS, VIDEO, PRESET = "videos", "fresh.mp4", "preset"
EXPORT = Path("served_model", "1")
_CLASSES = len(MOTION_LABELS)


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """How large the demo is. The defaults take less than three minutes on two processor cores.

    Args:
        epochs: How often each video is learned from.
        seed: Start of all that is drawn: videos, weights, order.
        num_train: Videos to learn from, as many of each class.
        num_validation: Videos to measure on, as many of each class.

    Raises:
        ValueError: if a number is out of range.
    """

    epochs: int = DEMO_EPOCHS
    seed: int = 0
    num_train: int = 80 * _CLASSES
    num_validation: int = 20 * _CLASSES

    def __post_init__(self) -> None:
        multiple = f"a multiple of {_CLASSES}, the number of classes,"
        for field, least, step, what in (
            ("epochs", 1, 1, "an integer"),
            ("seed", 0, 1, "an integer"),
            # At least a batch to learn from.
            ("num_train", 2 * _CLASSES, _CLASSES, multiple),
            ("num_validation", _CLASSES, _CLASSES, multiple),
        ):
            value = getattr(self, field)
            if type(value) is not int or value < least or value % step:
                raise ValueError(
                    f"The demo needs {what} of at least {least} for `{field}`. "
                    f"Received: {field}={value!r}"
                )

    @classmethod
    def short(cls, seed: int = 0) -> DemoSettings:
        """As few videos as there may be, and one epoch: shows that everything works, no more."""
        return cls(epochs=1, seed=seed, num_train=2 * _CLASSES, num_validation=_CLASSES)

    @property
    def recipe(self) -> Recipe:
        """How both models are trained."""
        warmup = min(motion.warmup_epochs, self.epochs / 4)
        return dataclasses.replace(motion, epochs=self.epochs, warmup_epochs=warmup)


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that is done; `cpu_seconds` are those of all cores and of child processes."""

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
        started = _now()
        yield
        self.steps.append(_since(started, name))

    @property
    def total(self) -> Step:
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
