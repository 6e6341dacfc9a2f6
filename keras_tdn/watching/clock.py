"""Seconds since the first frame, whatever a stream's timestamps do."""

from __future__ import annotations

from fractions import Fraction

# Timestamps that run back by less are out of order, as those of AVI are around B-frames; by more,
# the stream has begun to count anew.
DISORDER_SECONDS = 1.0
# In formats made for streams, timestamps that run ahead by more have begun anew as well.
LEAP_SECONDS = 60.0
# In all others no picture stands still for longer.
STILL_SECONDS = 30 * 86_400.0


class Clock:
    """Tells when frames are on screen, in the order in which they are shown.

    Times never run back. A frame without a timestamp follows the one before it by the usual step,
    and where timestamps begin anew, as after a camera's restart, time goes on by that step.

    Args:
        time_base: Seconds of one tick.
        period: Seconds from one frame to the next, usually.
        may_leap: Whether the format lets timestamps leap ahead, as MPEG-TS does. In others a leap
            is a picture that stands still for so long, up to thirty days.

    Example:

    >>> clock = Clock(Fraction(1, 1000), 0.04)
    >>> [clock.tick(pts) for pts in (500, 540, None, 620, 580)]
    [0.0, 0.04, 0.08, 0.12, 0.12]
    """

    def __init__(self, time_base: Fraction, period: float, may_leap: bool = False) -> None:
        self._time_base = Fraction(time_base)
        self._period = period
        self._max_step = LEAP_SECONDS if may_leap else STILL_SECONDS
        self._origin: int | None = None
        self._shift = 0.0
        self.now: float | None = None
        # Whether timestamps began anew with the latest frame.
        self.began_anew = False

    def tick(self, pts: int | None) -> float:
        """Seconds since the first frame, for the next one.

        Args:
            pts: Its timestamp in ticks, if it has one.
        """
        self.began_anew = False
        following = 0.0 if self.now is None else self.now + self._period
        if pts is None:
            self.now = following
            return following
        if self._origin is None:
            self._origin, self._shift = pts, following
        # As one division of integers, which is rounded once.
        ticks = (pts - self._origin) * self._time_base.numerator
        time = self._shift + ticks / self._time_base.denominator
        if self.now is not None:
            step = time - self.now
            if not -DISORDER_SECONDS <= step <= self._max_step:
                self.began_anew = True
                self._origin, self._shift = pts, following
                time = following
            else:
                time = max(time, self.now)
        self.now = time
        return time
