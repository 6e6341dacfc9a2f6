"""One stretch of a video."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a video and its scores.

    Args:
        index: How many windows come before it, lost ones included.
        start: Its begin, in seconds since the first frame.
        end: Its end.
        scores: One for each class, float32; probabilities where the model gives those or logits.
    """

    index: int
    start: float
    end: float
    scores: np.ndarray
