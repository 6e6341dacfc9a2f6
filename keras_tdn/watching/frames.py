"""The frames of a stream with their times, as they come."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from keras_tdn.data.decoding.pyav_container import reason
from keras_tdn.watching.opening import silence

DEFAULT_RATE = Fraction(25)
# Longer, nothing can be said about what happened between two frames.
SILENCE_SECONDS = 60.0
# FFmpeg's AVFMT_TS_DISCONT.
TIMESTAMPS_MAY_LEAP = 0x200
# So many packets in a row that cannot be read are the end.
MAX_ERRORS = 20
# How long to wait for a camera that has no picture yet.
RETRY_SECONDS = 0.005


@dataclasses.dataclass(frozen=True, slots=True)
class TimedFrame:
    """A decoded frame, and when it is on screen, in seconds since the first frame."""

    # How many frames come before it.
    number: int
    time: float
    picture: Any
    # Why there is a hole between the frame before and this one.
    damage: str = ""


@dataclasses.dataclass
class StreamFacts:
    """What is known of a stream, as far as it has been read."""

    # Seconds that its header states, if it does.
    duration: float | None = None
    num_frames: int = 0
    # When the last of them is on screen.
    seconds: float = 0.0
    # Those that are left out included.
    num_segments: int = 0
    # Why it ended early; empty if it did not.
    ending: str = ""
    # Seconds by which times are rounded.
    tolerance: float = 0.0
    # Whether it was read no further because no more was asked for.
    is_cut: bool = False


def timed_frames(
    container: Any, stream: Any, facts: StreamFacts, timeout: float, max_packets: int | None = None
) -> Iterator[TimedFrame]:
    """Decodes an open stream from where it is, frame by frame, and fills in `facts`.

    Damage costs the frames that it spoils, and those that are predicted from them.
    """
    rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
    may_leap = bool(container.format.flags & TIMESTAMPS_MAY_LEAP)
    # Headers may say anything.
    period = min(float(1 / Fraction(rate)), SILENCE_SECONDS)
    steps = Fraction(stream.time_base or 1 / DEFAULT_RATE), period, may_leap
    clock = Clock(*steps)
    ticks = float(stream.time_base or 0)
    # Matroska rounds times to milliseconds, which must not push a frame past its moment. Where
    # ticks are whole frames nothing is rounded.
    facts.tolerance = min(ticks / 2, 0.0005)
    if stream.duration and stream.time_base:
        facts.duration = float(stream.duration * stream.time_base)
    elif container.duration:
        # In microseconds.
        facts.duration = container.duration / 1e6
    damage = Damage(stream.codec_context.codec.intra_only)
    for number, (packet, error) in enumerate(_packets(container, stream, facts, timeout)):
        if number == max_packets:
            facts.is_cut = True
            return
        if error:
            damage.happen(error, facts.seconds)
            continue
        if packet is not None and packet.is_corrupt:
            damage.happen("a damaged packet", facts.seconds)
        frames, error = _decode(stream, packet)
        if error:
            damage.happen(error, facts.seconds)
        elif packet is not None and packet.is_keyframe:
            damage.key_packet(packet.pts)
        for picture in frames:
            if picture.is_corrupt:
                damage.happen("a damaged frame", facts.seconds)
            before = clock.now
            now = clock.tick(picture.pts)
            if damage.is_over(picture, now):
                why = damage.end()
                if facts.num_frames == 0:
                    # Time starts with the first frame that is whole, and nothing was lost before.
                    clock, why, before = Clock(*steps), "", None
                    now = clock.tick(picture.pts)
                if clock.started_over and not why:
                    why = "the timestamps started over"
                if not why and before is not None and now - before > SILENCE_SECONDS:
                    why = f"no frame for {now - before:.0f} seconds"
                facts.seconds = now
                yield TimedFrame(facts.num_frames, now, picture, why)
                facts.num_frames += 1
    if damage.reason and facts.num_frames and not facts.ending:
        facts.ending = f"its last frames do not decode: {damage.reason}"


def _packets(
    container: Any, stream: Any, facts: StreamFacts, timeout_seconds: float
) -> Iterator[tuple[Any, str]]:
    """Yields packets, and `None` behind the last; or what is wrong with one that is not read."""
    num_errors = 0
    waiting_since: float | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.BlockingIOError:
            waiting_since = waiting_since or time.monotonic()
            if time.monotonic() - waiting_since > timeout_seconds:
                facts.ending = silence(timeout_seconds)
                break
            time.sleep(RETRY_SECONDS)
            packets = container.demux(stream)
            continue
        except av.error.InvalidDataError as error:
            num_errors += 1
            if num_errors > MAX_ERRORS:
                facts.ending = reason(error)
                break
            yield None, reason(error)
            packets = container.demux(stream)
            continue
        except (av.FFmpegError, OSError) as error:
            # The rest is unreadable, or the sender is gone; the decoder may still hold frames.
            is_late = isinstance(error, av.error.ExitError)
            facts.ending = silence(timeout_seconds) if is_late else reason(error)
            break
        num_errors, waiting_since = 0, None
        if packet is None:
            break
        # At the end PyAV gives an empty packet for each stream.
        if packet.size:
            yield packet, ""
    yield None, ""


def _decode(stream: Any, packet: Any) -> tuple[list[Any], str]:
    try:
        return stream.decode(packet), ""
    except av.error.EOFError:
        return [], ""
    except av.FFmpegError as error:
        return [], reason(error)


# Timestamps that run back by less are out of order, as those of AVI are around B-frames; by more,
# the stream has started to count over.
DISORDER_SECONDS = 1.0
# In formats made for streams, timestamps that run ahead by more have started over as well.
LEAP_SECONDS = 60.0
# In all others no picture stands still for longer.
STILL_SECONDS = 30 * 86_400.0


class Clock:
    """Computes when frames are on screen, in the order in which they are shown.

    Times never run back. A frame without a timestamp follows the one before it by `period` seconds,
    and where timestamps start over, as after a camera's restart, time continues by that step.
    With `may_leap`, as in MPEG-TS, timestamps that leap ahead have started over as well; in other
    formats a picture stands still for so long, up to thirty days.
    """

    def __init__(self, time_base: Fraction, period: float, may_leap: bool = False) -> None:
        self._time_base = Fraction(time_base)
        self._period = period
        self._max_step = LEAP_SECONDS if may_leap else STILL_SECONDS
        self._origin: int | None = None
        self._shift = 0.0
        self.now: float | None = None
        # Whether timestamps started over with the latest frame.
        self.started_over = False

    def tick(self, pts: int | None) -> float:
        """Returns seconds since the first frame, for the next one, whose timestamp is `pts`."""
        self.started_over = False
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
            if -DISORDER_SECONDS <= time - self.now <= self._max_step:
                time = max(time, self.now)
            else:
                self.started_over = True
                self._origin, self._shift, time = pts, following, following
        self.now = time
        return time


# Frames behind damage are built on what is missing, up to the next one that stands for itself.
# Streams that have none refresh their pictures bit by bit, within this time.
RECOVERY_SECONDS = 10.0


class Damage:
    """Decides which frames damage before them has spoilt; `intra_only` ones stand alone."""

    def __init__(self, intra_only: bool) -> None:
        self.reason = ""
        self._intra_only = intra_only
        self._since = 0.0
        self._key_fed = False
        self._key_pts: int | None = None

    def happen(self, reason: str, now: float) -> None:
        """Records damage; `now` is when the last whole frame is on screen."""
        if not self.reason:
            self.reason, self._since = reason, now
        self._key_fed, self._key_pts = False, None

    def key_packet(self, pts: int | None) -> None:
        """Records a packet, decoded well, that others are predicted from."""
        if self.reason and not self._key_fed:
            self._key_fed, self._key_pts = True, pts

    def is_over(self, picture: Any, now: float) -> bool:
        """Returns whether a decoded frame, which is on screen at that time, is whole."""
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
        """Returns what the damage was that is over; empty if there was none."""
        reason, self.reason = self.reason, ""
        return reason
