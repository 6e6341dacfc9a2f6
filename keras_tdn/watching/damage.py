"""What damage in a stream spoils."""

from __future__ import annotations

from typing import Any

# Frames behind damage are built on what is missing, up to the next one that stands for itself.
# Streams that have none refresh their pictures bit by bit, within this time.
RECOVERY_SECONDS = 10.0


class Damage:
    """Tells whether frames are spoilt by damage that came before them.

    Args:
        intra_only: Whether every picture stands for itself.
    """

    def __init__(self, intra_only: bool) -> None:
        self.reason = ""
        self._intra_only = intra_only
        self._since = 0.0
        self._key_fed = False
        self._key_pts: int | None = None

    def happen(self, reason: str, now: float) -> None:
        """Takes note of damage.

        Args:
            reason: What it is.
            now: When the last whole frame is on screen, in seconds.
        """
        if not self.reason:
            self.reason, self._since = reason, now
        self._key_fed, self._key_pts = False, None

    def key_packet(self, pts: int | None) -> None:
        """Takes note of a packet, decoded well, that others are predicted from."""
        if self.reason and not self._key_fed:
            self._key_fed, self._key_pts = True, pts

    def is_over(self, picture: Any, now: float) -> bool:
        """Whether a decoded frame is whole, which is on screen at that time."""
        if not self.reason:
            return True
        if picture.is_corrupt:
            return False
        if self._intra_only or now - self._since > RECOVERY_SECONDS:
            return True
        # The decoder may still hold frames from before, a key frame among them.
        if not self._key_fed:
            return False
        if self._key_pts is None or picture.pts is None:
            return bool(picture.key_frame)
        return picture.pts >= self._key_pts

    def end(self) -> str:
        """What the damage was that is over; empty if there was none."""
        reason, self.reason = self.reason, ""
        return reason
