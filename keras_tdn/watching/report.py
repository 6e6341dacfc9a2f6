"""What was watched, and what was lost."""

from __future__ import annotations

import dataclasses

# A stream may be bad for ever.
MAX_LOSSES = 1000
MANY_REASONS = "many more, for several reasons"


@dataclasses.dataclass(frozen=True)
class Loss:
    """A stretch of a video that no window was scored on.

    Args:
        start: Its begin, in seconds since the first frame.
        end: Its end.
        reason: Why.
    """

    start: float
    end: float
    reason: str

    def __str__(self) -> str:
        return f"{self.start:g} s to {self.end:g} s: {self.reason}"


@dataclasses.dataclass(frozen=True)
class WatchReport:
    """What was watched so far.

    Args:
        num_windows: Windows scored.
        num_lost_windows: Windows left out because one of their segments is lost, from the
            video's first window on.
        num_frames: Frames decoded.
        seconds: When the last of them is on screen, since the first.
        losses: Where segments were lost, and why.
        finished: Whether there is nothing more to come.
        ending: Why it ended early; empty if it did not.
    """

    num_windows: int
    num_lost_windows: int
    num_frames: int
    seconds: float
    losses: tuple[Loss, ...]
    finished: bool
    ending: str = ""

    def lines(self) -> list[str]:
        """What went wrong, a line for each."""
        lines = [f"lost {loss}" for loss in self.losses]
        if self.ending:
            lines.append(f"ended early, after {self.seconds:.1f} s: {self.ending}")
        return lines


class LossList:
    """Losses of segments, neighbours of one reason joined; no longer however much is lost.

    Args:
        spacing: Seconds from one segment to the next.
    """

    def __init__(self, spacing: float) -> None:
        self._spacing = spacing
        self._runs: list[tuple[int, int, str]] = []

    def add(self, segment: int, reason: str, count: int = 1) -> None:
        """Takes lost segments, `count` from that one on; they come in order."""
        if self._runs:
            start, stop, last = self._runs[-1]
            full = len(self._runs) == MAX_LOSSES
            if full or (stop == segment and last == reason):
                reason = last if last == reason else MANY_REASONS
                self._runs[-1] = (start, segment + count, reason)
                return
        self._runs.append((segment, segment + count, reason))

    @property
    def losses(self) -> tuple[Loss, ...]:
        return tuple(
            Loss(round(start * self._spacing, 6), round(stop * self._spacing, 6), reason)
            for start, stop, reason in self._runs
        )
