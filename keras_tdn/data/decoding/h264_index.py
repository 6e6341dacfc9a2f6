"""The order and dependencies of an H.264 video's pictures, from its packets alone.

A packet index is only worth having if it is right: the frames it promises must be those that a
decoder gives when it decodes everything. So a video is indexed only if every check below holds,
and each check is there for a way in which packets and frames can part:

- Packets have timestamps, all different, none marked to be dropped (edit lists) or damaged, and
  none that changes the parameters midway: frames are recognised by their timestamps.
- Each packet is a whole number of units and exactly one progressive picture, so packets and frames
  are equally many. The first starts a coded sequence on which nothing before it bears (IDR).
- `frame_num` counts without a gap: no reference picture is missing, so none is made up.
- Timestamps ascend in the order of the picture order counts, which is what decoders go by.
- No picture is shown further out of order than the stream announces. A decoder that was promised
  less hands pictures out too early and drops those that come too late.

What this cannot see is damage inside the pictures. The decoder reports it in pictures that it is
given, and then the video is decoded from start to end after all. In a picture that nobody needs it
stays unseen; if it is so bad that the decoder would have dropped that picture, the count is one
more than the number of frames that decode (1 of 900 videos with a few flipped bits).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import av

from keras_tdn.data.decoding.h264_headers import (
    SequenceParameters,
    UnsupportedStream,
    parse_picture_parameters,
    parse_sequence_parameters,
    unescape,
)

# Matroska's and MP4's families: the containers that mark packets and keep parameters apart.
CONTAINERS = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})

SLICE, IDR_SLICE, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS = 1, 5, 7, 8
# Supplemental information, access unit delimiter, filler.
HARMLESS_UNITS = frozenset({6, 9, 12})
SLICE_HEADER_BYTES = 24
MAX_REORDER_FRAMES = 16
INTRA_TYPES = frozenset({2, 4, 7, 9})


@dataclasses.dataclass(frozen=True)
class PictureIndex:
    """Pictures in the order stored.

    Args:
        timestamps: When each is shown.
        shown: For each position in the order shown, the position in the order stored.
        sequence_starts: For each picture, the position of the one to start decoding at.
        is_reference: For each picture, whether others may be predicted from it.
    """

    timestamps: list[int]
    shown: list[int]
    sequence_starts: list[int]
    is_reference: list[bool]

    def needed(self, wanted: Iterable[int]) -> Iterator[list[int]]:
        """Positions to decode for the frames `wanted` (as shown), sequence by sequence."""
        by_start: dict[int, set[int]] = {}
        for index in wanted:
            position = self.shown[index]
            by_start.setdefault(self.sequence_starts[position], set()).add(position)
        for start, positions in sorted(by_start.items()):
            yield [
                position
                for position in range(start, max(positions) + 1)
                if self.is_reference[position] or position in positions
            ]


class _Picture(NamedTuple):
    is_idr: bool
    is_reference: bool
    frame_num: int
    order_count_lsb: int


class PictureIndexer:
    """Builds a `PictureIndex` packet by packet.

    Args:
        container_name: libav's name of the container format.
        extradata: The stream's parameters as the container keeps them ("avcC").

    Raises:
        UnsupportedStream: here or from `add` and `finish`, when a check does not hold.
    """

    def __init__(self, container_name: str, extradata: bytes | None) -> None:
        if container_name not in CONTAINERS:
            raise UnsupportedStream(f"the container {container_name} is not indexed")
        self._read_extradata(extradata or b"")
        self._timestamps: list[int] = []
        self._pictures: list[_Picture] = []

    def add(self, packet: av.Packet) -> None:
        """Checks one packet, in the order stored."""
        if packet.pts is None:
            raise UnsupportedStream("a packet has no timestamp")
        if packet.is_discard or packet.is_corrupt:
            raise UnsupportedStream("a packet is marked as damaged or not to be shown")
        if packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"):
            raise UnsupportedStream("the parameters change midway")
        self._pictures.append(self._read_picture(memoryview(packet)))
        self._timestamps.append(packet.pts)

    def finish(self) -> PictureIndex:
        """The index, once all packets are in."""
        if not self._pictures or not self._pictures[0].is_idr:
            raise UnsupportedStream("the video does not start with a keyframe")
        self._check_frame_nums()
        starts, counts = self._order_counts()
        keys = list(zip(starts, counts, strict=True))
        positions = range(len(keys))
        shown = sorted(positions, key=keys.__getitem__)
        times = [self._timestamps[position] for position in shown]
        if any(time >= later for time, later in itertools.pairwise(times)):
            raise UnsupportedStream("the timestamps are not in the order shown")
        self._check_reordering(shown)
        return PictureIndex(
            self._timestamps,
            shown,
            starts,
            [picture.is_reference for picture in self._pictures],
        )

    def _read_extradata(self, extradata: bytes) -> None:
        """ISO/IEC 14496-15, section 5.3.3.1: AVCDecoderConfigurationRecord."""
        if len(extradata) < 7 or extradata[0] != 1:
            raise UnsupportedStream("the stream's parameters are not kept apart")
        self._length_bytes = (extradata[4] & 3) + 1
        self._parameter_units: set[bytes] = set()
        position, sequences = 5, {}
        self._sequence_of: dict[int, SequenceParameters] = {}
        for unit_type, count_mask in ((SEQUENCE_PARAMETERS, 31), (PICTURE_PARAMETERS, 255)):
            if position >= len(extradata):
                raise UnsupportedStream("the stream's parameters are cut short")
            count = extradata[position] & count_mask
            position += 1
            for _ in range(count):
                end = position + 2 + int.from_bytes(extradata[position : position + 2], "big")
                unit = extradata[position + 2 : end]
                position = end
                if end > len(extradata) or not unit or unit[0] & 31 != unit_type:
                    raise UnsupportedStream("the stream's parameters are damaged")
                self._parameter_units.add(unit)
                if unit_type == SEQUENCE_PARAMETERS:
                    identifier, parameters = parse_sequence_parameters(unit[1:])
                    sequences[identifier] = parameters
                else:
                    identifier, sequence = parse_picture_parameters(unit[1:])
                    if sequence not in sequences:
                        raise UnsupportedStream("the stream's parameters are damaged")
                    self._sequence_of[identifier] = sequences[sequence]
        if len(sequences) != 1:
            raise UnsupportedStream("the stream has several sets of parameters")
        self._sequence = next(iter(sequences.values()))

    def _read_picture(self, data: memoryview) -> _Picture:
        picture: _Picture | None = None
        position, size, length_bytes = 0, len(data), self._length_bytes
        while position < size:
            start = position + length_bytes
            position = start + int.from_bytes(data[position:start], "big")
            if start >= position or position > size:
                raise UnsupportedStream("a packet is damaged")
            header = data[start]
            unit_type = header & 31
            if header & 128:
                raise UnsupportedStream("a packet is damaged")
            if unit_type in (SLICE, IDR_SLICE):
                # The header's first number, coded in one bit if it is zero, is where the slice
                # starts: at zero in the first slice of a picture and in no other.
                is_first = position > start + 1 and data[start + 1] & 128
                if bool(is_first) == (picture is not None):
                    raise UnsupportedStream("a packet is not one whole picture")
                if picture is None:
                    picture = self._read_slice_header(
                        header, bytes(data[start + 1 : min(position, start + SLICE_HEADER_BYTES)])
                    )
                elif picture.is_reference != bool(header & 96):
                    raise UnsupportedStream("a packet is not one whole picture")
            elif unit_type in (SEQUENCE_PARAMETERS, PICTURE_PARAMETERS):
                if bytes(data[start:position]) not in self._parameter_units:
                    raise UnsupportedStream("the parameters change midway")
            elif unit_type not in HARMLESS_UNITS:
                raise UnsupportedStream(f"the stream has units of type {unit_type}")
        if picture is None:
            raise UnsupportedStream("a packet has no picture")
        return picture

    def _read_slice_header(self, unit_header: int, payload: bytes) -> _Picture:
        """Reads a few numbers out of one large one: this runs for every picture of every video."""
        is_idr, is_reference = unit_header & 31 == IDR_SLICE, bool(unit_header & 96)
        payload = unescape(payload)
        bits = int.from_bytes(payload, "big")
        # The first bit is the slice's start.
        left = 8 * len(payload) - 1
        slice_type, left = _exp_golomb(bits, left)
        parameters, left = _exp_golomb(bits, left)
        sequence = self._sequence_of.get(parameters)
        if slice_type > 9 or sequence is None:
            raise UnsupportedStream("a packet is damaged")
        left -= sequence.frame_num_bits
        frame_num = bits >> max(left, 0) & (1 << sequence.frame_num_bits) - 1
        if is_idr:
            if not is_reference or slice_type not in INTRA_TYPES:
                raise UnsupportedStream("a packet is damaged")
            _, left = _exp_golomb(bits, left)  # idr_pic_id
        left -= sequence.order_count_bits
        if left < 0:
            raise UnsupportedStream("a packet is damaged")
        order_count = bits >> left & (1 << sequence.order_count_bits) - 1
        return _Picture(is_idr, is_reference, frame_num, order_count)

    def _check_frame_nums(self) -> None:
        """Section 7.4.3: counts the reference pictures, modulo its size."""
        mask = (1 << self._sequence.frame_num_bits) - 1
        expected = 0
        for picture in self._pictures:
            if picture.is_idr:
                expected = 0
            if picture.frame_num != expected:
                raise UnsupportedStream("a reference picture is missing")
            if picture.is_reference:
                expected = (expected + 1) & mask

    def _order_counts(self) -> tuple[list[int], list[int]]:
        """Start of its sequence and picture order count (section 8.2.1) of each picture."""
        starts, counts = [], []
        start = 0
        cycle = 1 << self._sequence.order_count_bits
        reference_msb = reference_lsb = 0
        for position, picture in enumerate(self._pictures):
            if picture.is_idr:
                start = position
                reference_msb = reference_lsb = 0
            starts.append(start)
            if self._sequence.order_count_type == 2:
                counts.append(position)
                continue
            msb, lsb = reference_msb, picture.order_count_lsb
            if lsb < reference_lsb and reference_lsb - lsb >= cycle // 2:
                msb += cycle
            elif lsb > reference_lsb and lsb - reference_lsb > cycle // 2:
                msb -= cycle
            counts.append(msb + lsb)
            if picture.is_reference:
                reference_msb, reference_lsb = msb, lsb
        return starts, counts

    def _check_reordering(self, shown: list[int]) -> None:
        """Annex E.2.1: how many pictures may come before one in store and after it when shown."""
        place = [0] * len(shown)
        for index, position in enumerate(shown):
            place[position] = index
        announced = self._sequence.num_reorder_frames or 0
        # Places of pictures stored already while one shown before them is yet to come.
        waiting: set[int] = set()
        next_shown = 0
        for index in place:
            if sum(other > index for other in waiting) > announced:
                raise UnsupportedStream("pictures are shown further out of order than announced")
            waiting.add(index)
            while next_shown in waiting:
                waiting.remove(next_shown)
                next_shown += 1
            if len(waiting) > MAX_REORDER_FRAMES:
                raise UnsupportedStream("pictures are shown further out of order than possible")


def _exp_golomb(bits: int, left: int) -> tuple[int, int]:
    """The number that starts `left` bits before the end, and how many bits are left after it."""
    if left <= 0:
        raise UnsupportedStream("a packet is damaged")
    rest = bits & (1 << left) - 1
    left -= 2 * (left - rest.bit_length()) + 1
    if left < 0:
        raise UnsupportedStream("a packet is damaged")
    return (rest >> left) - 1, left
