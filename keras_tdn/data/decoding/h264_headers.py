"""Just enough of H.264's headers to know the order of a video's pictures without decoding them.

Reference: ITU-T H.264, sections 7.3.2.1 and 7.3.2.2 (parameter sets), 7.3.3 (slice header),
annex E.1 (bitstream restriction).
"""

from __future__ import annotations

import dataclasses

# Profiles whose sequence parameter set carries the chroma format.
HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
EXTENDED_ASPECT_RATIO = 255


class UnsupportedStream(Exception):  # noqa: N818
    """The stream is out of the ordinary; the message says how. Never reaches the user."""


@dataclasses.dataclass(frozen=True)
class SequenceParameters:
    """What a slice header needs, and how far pictures are shown out of the order stored."""

    frame_num_bits: int
    order_count_type: int
    order_count_bits: int
    num_reorder_frames: int | None


class BitReader:
    """Bits of a header, most significant first."""

    def __init__(self, payload: bytes) -> None:
        payload = unescape(payload)
        self._bits = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def read(self, count: int) -> int:
        if count > self._left:
            raise UnsupportedStream("a header is cut short")
        self._left -= count
        value = self._bits >> self._left
        self._bits &= (1 << self._left) - 1
        return value

    def read_exp_golomb(self) -> int:
        zeros = self._left - self._bits.bit_length()
        return self.read(2 * zeros + 1) - 1

    def skip_exp_golomb(self, count: int) -> None:
        for _ in range(count):
            self.read_exp_golomb()


def unescape(payload: bytes) -> bytes:
    """Undoes that encoders put a 3 after two zero bytes, so that no start code appears."""
    return payload.replace(b"\0\0\3", b"\0\0") if b"\0\0\3" in payload else payload


def parse_sequence_parameters(unit: bytes) -> tuple[int, SequenceParameters]:
    """Identifier and content of a sequence parameter set, without its one-byte unit header."""
    bits = BitReader(unit)
    profile = bits.read(8)
    bits.read(16)
    identifier = bits.read_exp_golomb()
    if profile in HIGH_PROFILES:
        _skip_chroma_format(bits)
    frame_num_bits = bits.read_exp_golomb() + 4
    order_count_type = bits.read_exp_golomb()
    if order_count_type not in (0, 2):
        raise UnsupportedStream("the pictures' order is coded in a rare way")
    order_count_bits = bits.read_exp_golomb() + 4 if order_count_type == 0 else 0
    if max(frame_num_bits, order_count_bits) > 16:
        raise UnsupportedStream("a header is damaged")
    bits.read_exp_golomb()  # max_num_ref_frames
    bits.read(1)  # gaps_in_frame_num_value_allowed_flag
    bits.skip_exp_golomb(2)  # width and height
    if not bits.read(1):
        raise UnsupportedStream("the video is interlaced")
    bits.read(1)  # direct_8x8_inference_flag
    if bits.read(1):
        bits.skip_exp_golomb(4)  # frame cropping
    num_reorder_frames = _read_reorder_frames(bits) if bits.read(1) else None
    return identifier, SequenceParameters(
        frame_num_bits, order_count_type, order_count_bits, num_reorder_frames
    )


def parse_picture_parameters(unit: bytes) -> tuple[int, int]:
    """Identifiers of a picture parameter set and of the sequence parameter set it refers to."""
    bits = BitReader(unit)
    identifier, sequence = bits.read_exp_golomb(), bits.read_exp_golomb()
    bits.read(1)  # entropy_coding_mode_flag
    if bits.read(1):
        raise UnsupportedStream("the pictures' order is coded per field")
    return identifier, sequence


def _skip_chroma_format(bits: BitReader) -> None:
    chroma_format = bits.read_exp_golomb()
    if chroma_format == 3 and bits.read(1):
        raise UnsupportedStream("the colour planes are coded apart")
    bits.skip_exp_golomb(2)  # bit depths
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.read(1):
        raise UnsupportedStream("the stream has scaling matrices")


def _read_reorder_frames(bits: BitReader) -> int | None:
    """`num_reorder_frames` of the video usability information, if it is there."""
    if bits.read(1) and bits.read(8) == EXTENDED_ASPECT_RATIO:
        bits.read(32)
    if bits.read(1):
        bits.read(1)  # overscan
    if bits.read(1):
        bits.read(4)  # video format and range
        if bits.read(1):
            bits.read(24)  # colour description
    if bits.read(1):
        bits.skip_exp_golomb(2)  # chroma location
    if bits.read(1):
        bits.read(65)  # timing
    hypothetical_decoders = 0
    for _ in range(2):
        if bits.read(1):
            hypothetical_decoders += 1
            buffers = bits.read_exp_golomb() + 1
            bits.read(8)
            for _ in range(buffers):
                bits.skip_exp_golomb(2)
                bits.read(1)
            bits.read(20)
    if hypothetical_decoders:
        bits.read(1)  # low_delay_hrd_flag
    bits.read(1)  # pic_struct_present_flag
    if not bits.read(1):
        return None
    bits.read(1)  # motion_vectors_over_pic_boundaries_flag
    bits.skip_exp_golomb(4)
    return bits.read_exp_golomb()
