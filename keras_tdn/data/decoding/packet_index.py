"""An index of a video's frames, and of the packets that each needs, from its packets alone.

A video is indexed only where nothing speaks against it, so that its frames are those that a decoder
gives when it decodes everything:

- Packets have timestamps, all different; none is damaged, hidden by an edit list or changes the
  parameters. Each is one picture, as the first byte of each of its units says.
- Decoding starts where nothing later refers to anything earlier: at an IDR picture of H.264 (never
  at a recovery point, which promises less), a random access point of HEVC, a keyframe of VP9 and
  AV1. HEVC's leading pictures, stored after such a point and shown before it, need the one before.
- Timestamps fit that: no picture crosses a start, none is shown further out of order than the
  decoder allows for (it would drop it), MP4's times to decode are those to show, and none is left
  out, except in H.264: the other decoders drop pictures that refer to lost ones.

Damage inside pictures is left to the decoder, which reports it in those that it is given: the video
is then decoded from start to end, and its frames are still numbered by this index, because decoders
drop pictures that refer to damage. Where anything else fails, the frames that decode are numbered.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import av

# The containers that mark packets and keep parameters apart. MP4's has times to decode of its own.
MP4, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"

# What a picture is: decoding can start there, others may refer to it, it is shown before the start
# that is stored before it. What else a unit of H.264 or HEVC can be.
PICTURE, START, REFERENCE, LEADING, _PARAMETERS, _HARMLESS = 1, 2, 4, 8, 16, 32
# From this bit on: HEVC's temporal layer. Pictures of higher ones may refer to any of a lower one.
_LAYER = 8


class NotIndexedError(Exception):
    """The packets do not say which frames the video has. Raised and caught inside the package."""


def _check(holds: object, otherwise: str) -> None:
    if not holds:
        raise NotIndexedError(otherwise)


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """Packets in the order stored; `shown` has their positions in the order shown.

    `starts` has, of each packet, the position of the one to start decoding at.
    """

    timestamps: list[int]
    shown: list[int]
    starts: list[int]
    is_reference: list[bool]

    def needed(self, wanted: Iterable[int]) -> Iterator[list[int]]:
        """Yields the positions to decode for the frames `wanted` (as shown), one run per start."""
        chosen = {self.shown[index] for index in wanted}
        runs: list[list[int]] = []
        for start, position in sorted((self.starts[position], position) for position in chosen):
            if runs and start <= runs[-1][1]:
                runs[-1][1] = max(runs[-1][1], position)
            else:
                runs.append([start, position])
        for start, end in runs:
            yield [
                position
                for position in range(start, end + 1)
                # Of the start's own leading pictures, none can be decoded and none is referred to.
                if self.starts[position] >= start
                and (self.is_reference[position] or position in chosen)
            ]


def index_packets(
    container_name: str, codec: av.VideoCodecContext, packets: Iterable[av.Packet]
) -> PacketIndex:
    """Indexes packets that are not empty, in the order stored; `container_name` is libav's."""
    name = codec.codec.canonical_name
    _check(container_name in (MP4, MATROSKA), f"the container {container_name} is not indexed")
    _check(name in _CODECS, f"the codec {name} is not indexed")
    read = _CODECS[name](codec.extradata or b"")
    kinds, times, decode_times = list[int](), list[int](), list[int | None]()
    for packet in packets:
        _check(packet.pts is not None, "a packet has no timestamp")
        is_marked = packet.is_corrupt or packet.is_discard
        _check(not is_marked, "a packet is marked as damaged or not to be shown")
        is_changed = packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change")
        _check(not is_changed, "the parameters change midway")
        kinds.append(read(memoryview(packet)))
        times.append(packet.pts)
        decode_times.append(packet.dts)
    _check(times and kinds[0] & START, "the video does not start with a keyframe")
    starts, depth = _structure(times, kinds, codec.reorder_depth)
    shown = sorted(range(len(times)), key=times.__getitem__)
    shown_times = [times[position] for position in shown]
    gaps = sorted(later - time for time, later in itertools.pairwise(shown_times)) or [1]
    _check(gaps[0], "two packets have one timestamp")
    is_even = name == "h264" or gaps[-1] <= 1.5 * gaps[len(gaps) // 2]
    _check(is_even, "a picture that others refer to may be missing")
    if depth and container_name == MP4:
        # Encoders hand out each time to show as one to decode, a few pictures later.
        delay = decode_times.index(shown_times[0]) if shown_times[0] in decode_times else -1
        is_same = delay >= 0 and decode_times[delay:] == shown_times[: len(shown) - delay]
        _check(is_same, "the times to decode are not the times to show")
    top = max(kinds) >> _LAYER
    is_reference = [bool(kind & REFERENCE) or kind >> _LAYER < top for kind in kinds]
    is_in_order = depth or not codec.reorder_depth or all(is_reference)
    _check(is_in_order, "the timestamps are not in the order shown")
    return PacketIndex(times, shown, starts, is_reference)


def _structure(times: list[int], kinds: list[int], most: int) -> tuple[list[int], int]:
    """Returns each picture's start, and how many at most are stored before one shown earlier."""
    starts, later = list[int](), list[int]()
    previous = start = depth = 0
    for position, (kind, time) in enumerate(zip(kinds, times, strict=True)):
        later = [other for other in later if other > time]
        depth = max(depth, len(later))
        _check(depth <= most, "pictures are shown further out of order than announced")
        later.append(time)
        if kind & START:
            previous, start = start, position
            _check(len(later) == 1, "a picture is shown after the keyframe that follows it")
        leads = time < times[start]
        fits = not leads or (start and time > times[previous])
        _check(fits and leads == bool(kind & LEADING), "a picture is shown before its keyframe")
        starts.append(previous if leads else start)
    return starts, depth


def _unit_reader(
    extradata: bytes, length_at: int, header_bytes: int, kinds: dict[int, int]
) -> Callable[[memoryview], int]:
    """Reads H.264 and HEVC: units after their lengths, of as many bytes as `extradata` says."""
    # Those of real videos have some hundred bytes; each unit of parameters is looked for in them.
    is_apart = length_at < len(extradata) < 2**16 and extradata[0] == 1
    _check(is_apart, "the stream's parameters are not kept apart")
    length_bytes = (extradata[length_at] & 3) + 1

    def read(data: memoryview) -> int:
        picture = position = 0
        while position < len(data):
            start = position + length_bytes
            position = start + int.from_bytes(data[position:start], "big")
            if not start + header_bytes < position <= len(data):
                raise NotIndexedError("a packet is damaged")
            kind = kinds.get(data[start], 0)
            if kind & PICTURE:
                # The first bit of a slice says whether it is the first of its picture (in H.264,
                # that its first block is number 0), the second of a start in HEVC that the
                # pictures before are not to be shown.
                bits = data[start + header_bytes]
                if header_bytes == 2:
                    _check(1 <= data[start + 1] <= 7, "the stream has several views")
                    kind |= data[start + 1] - 1 << _LAYER
                    is_dropping = kind & START and bits & 64
                    _check(not is_dropping, "pictures are dropped before a keyframe")
                is_whole = kind == picture if picture else bits & 128
                _check(is_whole and (not picture or not bits & 128), "a packet is not one picture")
                picture = kind
            elif kind & _PARAMETERS:
                _check(bytes(data[start:position]) in extradata, "the parameters change midway")
            elif not kind:
                raise NotIndexedError(f"the stream has units of type {data[start]}")
        _check(picture, "a packet has no picture")
        return picture

    return read


# What a unit is, by the first byte of its header.
# Rec. ITU-T H.264, table 7-1. Harmless are supplemental information, delimiter and filler.
_H264 = {1: PICTURE, 5: PICTURE | START, 7: _PARAMETERS, 8: _PARAMETERS}
_H264 |= dict.fromkeys((6, 9, 12), _HARMLESS)
# Two bits say whether others refer to it; they always refer to a start and to parameters.
_H264 |= {bits << 5 | unit: kind | REFERENCE for bits in (1, 2, 3) for unit, kind in _H264.items()}
del _H264[5], _H264[7], _H264[8]
# Rec. ITU-T H.265, table 7-1. Harmless is Dolby Vision besides.
_HEVC = {2 * unit: PICTURE | (LEADING if unit >= 6 else 0) for unit in range(10)}
_HEVC |= {2 * unit: _HEVC[2 * unit] | REFERENCE for unit in range(1, 10, 2)}
_HEVC |= {2 * unit: PICTURE | START | REFERENCE for unit in range(16, 22)}
_HEVC |= {2 * unit: _PARAMETERS for unit in (32, 33, 34)}
_HEVC |= {2 * unit: _HARMLESS for unit in (35, 38, 39, 40, 62)}


def _read_vp9(data: memoryview) -> int:
    """Reads VP9: its bitstream's section 7.2 and annex B."""
    header = data[0]
    # Two bits that are always 1 and 0, then the profile.
    is_usual = header >> 6 == 2 and header & 0x30 != 0x30
    _check(is_usual, "a packet is damaged or of a rare profile")
    # The index of a packet of several pictures, of which one is shown, begins as it ends.
    index_bytes = 2 + ((data[-1] & 7) + 1) * ((data[-1] >> 3 & 3) + 1)
    has_several = data[-1] & 0xE0 == 0xC0 and data[-index_bytes:][0] == data[-1]
    _check(header & 10 or has_several, "a packet shows no picture")
    _check(header & 12 or bytes(data[1:4]) == b"\x49\x83\x42", "a packet is damaged")
    return PICTURE | REFERENCE | (0 if header & 12 else START)


def _av1_reader() -> Callable[[memoryview], int]:
    """Reads AV1: its bitstream's sections 5.3 to 5.9."""
    parameters: set[bytes] = set()

    def read(data: memoryview) -> int:
        position = shown = has_parameters = is_key = 0
        while position < len(data):
            header = data[position]
            # No layers, and each unit's size in front of it.
            if header not in (10, 18, 26, 34, 42, 50, 58, 122):
                raise NotIndexedError(f"the stream has units of type {header}")
            size, shift, more = 0, 0, True
            while more:
                position += 1
                _check(position < len(data) and shift < 56, "a packet is damaged")
                size |= (data[position] & 127) << shift
                shift, more = shift + 7, data[position] > 127
            start, position = position + 1, position + 1 + size
            _check(position <= len(data), "a packet is damaged")
            if header == 10:
                has_parameters = 1
                parameters.add(bytes(data[start:position]))
                _check(len(parameters) == 1, "the parameters change midway")
            elif header in (26, 50) and size:
                shown += bool(data[start] & 0x90)
                is_key |= data[start] & 0xF0 == 0x10
        _check(shown == 1, "a packet is not one picture")
        return PICTURE | REFERENCE | (START if is_key and has_parameters else 0)

    return read


# By the codec's name, and by the parameters that the container keeps: what a packet is.
_CODECS: dict[str, Callable[[bytes], Callable[[memoryview], int]]] = {
    "h264": lambda extradata: _unit_reader(extradata, 4, 1, _H264),
    "hevc": lambda extradata: _unit_reader(extradata, 21, 2, _HEVC),
    "vp9": lambda extradata: _read_vp9,
    "av1": lambda extradata: _av1_reader(),
}
