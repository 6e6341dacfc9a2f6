"""What a demo came to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_tdn.demo.folder import PAGE_FILE
from keras_tdn.demo.settings import DemoSettings
from keras_tdn.demo.stopwatch import Step

RESULT_FILE = "demo.json"
# Where things are in the folder.
VIDEOS, VIDEO, PRESET = "videos", "fresh.mp4", "preset"
EXPORT = Path("served_model", "1")


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
