"""Where a training stands, and which part of it one call of `fit` does."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingPlace:
    """Where a training stands.

    Args:
        epoch: Epochs that are done.
        step: Batches that are done in the next.
        start: Records that its next batch comes behind; see `BatchPositions`.
        stopped: Whether it has been ended before its time.
    """

    epoch: int = 0
    step: int = 0
    start: int = 0
    stopped: bool = False


@dataclasses.dataclass(frozen=True)
class FitSpan:
    """The part of a training that one call of `fit` does.

    A training that goes on in the middle of an epoch takes two: the rest of that epoch, which has
    fewer steps, and all others.

    Args:
        start: Where the data set starts, for `make_dataset`.
        initial_epoch: For `fit`: epochs that are done.
        epochs: For `fit`: the epoch to end with.
        steps_per_epoch: For `fit`: batches in each of these epochs.
    """

    start: int
    initial_epoch: int
    epochs: int
    steps_per_epoch: int

    @property
    def fit_arguments(self) -> dict[str, int]:
        """The arguments of `fit` that belong to it."""
        return {
            "initial_epoch": self.initial_epoch,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }
