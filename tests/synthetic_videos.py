"""Small videos whose frames carry their own number, readable after any compression."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 96, 160
BITS = 8
BAR = WIDTH // BITS
NUMBER_ROWS = slice(0, 48)


def numbered_frame(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Bars for the number's bits in the upper half; below, red on the left, blue on the right."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            frame[NUMBER_ROWS, bit * BAR : (bit + 1) * BAR] = 255
    frame[NUMBER_ROWS.stop :, : WIDTH // 2] = (220, 30, 30)
    frame[NUMBER_ROWS.stop :, WIDTH // 2 :] = (30, 30, 220)
    rows = np.arange(height) * HEIGHT // height
    columns = np.arange(width) * WIDTH // width
    return frame[rows][:, columns]


def read_number(frame: np.ndarray) -> int:
    """The number in an upright frame of any size."""
    height, width = frame.shape[:2]
    strip = frame[height // 6 : height // 3].mean(axis=(0, 2))
    centers = (np.arange(BITS) + 0.5) * width / BITS
    return int(sum(int(strip[int(center)] > 127) << bit for bit, center in enumerate(centers)))


def read_numbers(frames: np.ndarray) -> list[int]:
    return [read_number(frame) for frame in frames]


def is_upright(frame: np.ndarray) -> bool:
    """Whether the lower half is red on the left and blue on the right."""
    height, width = frame.shape[:2]
    left = frame[height * 3 // 4, width // 4].astype(int)
    right = frame[height * 3 // 4, width * 3 // 4].astype(int)
    return bool(left[0] > left[2] + 80 and right[2] > right[0] + 80)


def encode_video(
    num_frames: int,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (HEIGHT, WIDTH),
    options: dict[str, str] | None = None,
    rotation: int = 0,
    turns: int = 0,
    cover: bool = False,
    first: int = 0,
    metadata: dict[str, str] | None = None,
    wrong_timestamps: bool = False,
) -> bytes:
    """A video of `num_frames` frames numbered from `first`.

    `rotation` is the tag, counter-clockwise degrees; `turns` are quarter turns of the pixels
    themselves, counter-clockwise, so that a tag can set upright what was turned. With `cover` the
    file's first stream is a cover picture numbered 255. `wrong_timestamps` numbers the packets in
    the order stored, as AVI does, which with B-frames is not the order shown.
    """
    file = io.BytesIO()
    with same_priority(), av.open(file, "w", format=container) as output:
        if metadata:
            output.metadata.update(metadata)
        if cover:
            picture = output.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic.value
        stream = output.add_stream(codec, rate=25, options=options or {})
        height, width = size if turns % 2 == 0 else size[::-1]
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = Fraction(1, 25)
        if cover:
            output.mux(picture.encode(av.VideoFrame.from_ndarray(numbered_frame(255))))
            output.mux(picture.encode(None))
        for index in range(num_frames):
            pixels = np.rot90(numbered_frame(first + index, *size), turns)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(_packets(stream, frame, wrong_timestamps))
        output.mux(_packets(stream, None, wrong_timestamps))
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), -90: (0, -1)}[rotation]
    video = file.getvalue()
    return with_display_matrix(video, (cosine, -sine, sine, cosine)) if rotation else video


@contextlib.contextmanager
def same_priority() -> Iterator[None]:
    """Gives the process back the scheduling it had, which SVT-AV1 changes for privileged users.

    They get a real-time process, and with it all children, which starves everything else.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def with_display_matrix(video: bytes, matrix: Sequence[float]) -> bytes:
    """Writes `(a, b, c, d)` into an MP4's track header: right leads by (a, b), down by (c, d)."""
    a, b, c, d = (round(value * 2**16) for value in matrix)
    start = video.index(b"tkhd") + 4 + 40
    packed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return video[:start] + packed + video[start + len(packed) :]


def _packets(
    stream: av.VideoStream, frame: av.VideoFrame | None, wrong_timestamps: bool
) -> list[av.Packet]:
    packets = list(stream.encode(frame))
    if wrong_timestamps:
        for packet in packets:
            packet.pts = packet.dts
    return packets


def encode_audio(container: str = "wav", codec: str = "pcm_s16le") -> bytes:
    """One second of silence."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
