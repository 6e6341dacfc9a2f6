"""What a training came to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tdn.data.failures import Failure
from keras_tdn.training.durable import written_durably


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What `train` gives back, and writes to `result.json`.

    Args:
        output: Folder of the training.
        preset: Folder of the preset: the model with the weights of the best epoch, or of the last
            if there was no validation.
        epochs: Epochs that were trained.
        epoch: The epoch that the preset is of, counted from 1.
        top1: Share of validation videos that the preset labels right, from 0 to 1, with one view;
            `None` without validation.
        top5: Share whose label is among its first five guesses; `None` without validation.
        num_validation: Validation videos that this was measured on.
        stopped_early: Whether training ended before the recipe's last epoch.
        history: For each epoch, its figures by name.
        failures: Videos that could not be read.
        seconds: Duration of the training steps, of all processes together.
        share_waited: Part of it in which the model waited for its input, from 0 to 1.
    """

    output: Path
    preset: Path
    epochs: int
    epoch: int
    top1: float | None
    top5: float | None
    num_validation: int
    stopped_early: bool
    history: tuple[Mapping[str, float], ...]
    failures: tuple[Failure, ...]
    seconds: float
    share_waited: float

    def write(self, path: Path) -> None:
        """Writes it as JSON."""
        content = dataclasses.asdict(self)
        del content["output"], content["preset"]
        with written_durably(path) as new:
            new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path, preset: Path) -> TrainingResult | None:
        """Reads what `write` wrote; `None` if there is no such file or it is damaged."""
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            content["history"] = tuple(content["history"])
            content["failures"] = tuple(Failure(**entry) for entry in content["failures"])
            return cls(output=path.parent, preset=preset, **content)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
