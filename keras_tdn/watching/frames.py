"""The frames of a stream with their times, as they come."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from keras_tdn.watching.clock import Clock
from keras_tdn.watching.damage import Damage
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
    """A frame and when it is on screen.

    Args:
        number: How many frames came before it.
        time: Seconds since the first frame.
        picture: The frame as it was decoded.
        damage: Why there is a hole between the frame before and this one; empty where none is.
    """

    number: int
    time: float
    picture: Any
    damage: str = ""


@dataclasses.dataclass
class StreamFacts:
    """What is known of a stream, as far as it has been read.

    Args:
        duration: Seconds that its header states, if it does.
        num_frames: Frames read.
        seconds: When the last of them is on screen.
        num_segments: Segments that they make, those left out included.
        ending: Why it ended before its end; empty if it did not.
        tolerance: Seconds by which times are rounded.
        is_cut: Whether it was read no further because no more was asked for.
    """

    duration: float | None = None
    num_frames: int = 0
    seconds: float = 0.0
    num_segments: int = 0
    ending: str = ""
    tolerance: float = 0.0
    is_cut: bool = False


def timed_frames(
    container: Any,
    stream: Any,
    facts: StreamFacts,
    timeout_seconds: float,
    max_packets: int | None = None,
) -> Iterator[TimedFrame]:
    """Decodes a stream from where it is to its end; a frame in memory at a time.

    Damage costs the frames that it spoils, and those that are predicted from them.

    Args:
        container: The open container.
        stream: Its video stream, prepared for decoding.
        facts: Filled in along the way.
        timeout_seconds: How long to wait for a device that has no picture yet.
        max_packets: How many packets are read, of about a frame each; `None` for all.

    Returns:
        An iterator of `TimedFrame`.
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
    facts.duration = _duration(container, stream)
    damage = Damage(stream.codec_context.codec.intra_only)
    packets = _packets(container, stream, facts, timeout_seconds)
    for number, (packet, error) in enumerate(packets):
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
                reason = damage.end()
                if facts.num_frames == 0:
                    # Time begins with the first frame that is whole, and nothing was lost before.
                    clock, reason, before = Clock(*steps), "", None
                    now = clock.tick(picture.pts)
                if clock.began_anew and not reason:
                    reason = "the timestamps began anew"
                if not reason and before is not None and now - before > SILENCE_SECONDS:
                    reason = f"no frame for {now - before:.0f} seconds"
                facts.seconds = now
                yield TimedFrame(facts.num_frames, now, picture, reason)
                facts.num_frames += 1
    if damage.reason and facts.num_frames and not facts.ending:
        facts.ending = f"its last frames do not decode: {damage.reason}"


def _packets(
    container: Any, stream: Any, facts: StreamFacts, timeout_seconds: float
) -> Iterator[tuple[Any, str]]:
    """Packets, and `None` behind the last; or what was wrong with one that cannot be read."""
    import av

    from keras_tdn.data.decoding.pyav_container import reason

    num_errors = 0
    waiting_since: float | None = None
    demux: Callable[[], Iterator[Any]] = lambda: container.demux(stream)  # noqa: E731
    packets = demux()
    while True:
        try:
            packet = next(packets, None)
        except av.error.BlockingIOError:
            waiting_since = waiting_since or time.monotonic()
            if time.monotonic() - waiting_since > timeout_seconds:
                facts.ending = silence(timeout_seconds)
                break
            time.sleep(RETRY_SECONDS)
            packets = demux()
            continue
        except av.error.InvalidDataError as error:
            num_errors += 1
            if num_errors > MAX_ERRORS:
                facts.ending = reason(error)
                break
            yield None, reason(error)
            packets = demux()
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
    import av

    from keras_tdn.data.decoding.pyav_container import reason

    try:
        return stream.decode(packet), ""
    except av.error.EOFError:
        return [], ""
    except av.FFmpegError as error:
        return [], reason(error)


def _duration(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # In microseconds.
    return container.duration / 1e6 if container.duration else None
