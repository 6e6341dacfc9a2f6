"""What each epoch gave, as a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_tdn.training.durable import written_durably


class EpochLog(keras.callbacks.Callback):
    """Keeps the figures of every epoch, and writes them to a CSV file after each.

    Use it instead of `keras.callbacks.CSVLogger` where training is resumed: the file is written
    whole each time and never has an epoch twice. The columns are the epoch, counted from 1, the
    learning rate at its end, and what `fit` measured.

    Args:
        path: The CSV file, or `None` for none.

    Attributes:
        rows: A dict for each epoch so far.

    Example:

    >>> log = EpochLog("log.csv")
    >>> model.fit(dataset, epochs=2, callbacks=[log])
    >>> [row["epoch"] for row in log.rows]
    [1, 2]
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.path = None if path is None else Path(path)
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {name: float(value) for name, value in (logs or {}).items()}
        # A run that was stopped at a later place may come through here again.
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self.rows.append({"epoch": epoch + 1, "learning_rate": rate, **figures})
        if self.path is not None:
            self._write(self.path)

    def state(self) -> dict[str, Any]:
        """What `restore` takes to go on from here, as JSON holds it."""
        return {"rows": self.rows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.rows = [dict(row) for row in state["rows"]]

    def _write(self, path: Path) -> None:
        columns = dict.fromkeys(name for row in self.rows for name in row)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with written_durably(path) as new:
            new.write_text(text.getvalue(), encoding="utf-8")
