"""H.264 as encoders really write it: every way of ordering pictures that players meet."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 72, 104
FPS = 30


@functools.cache
def moving_frames(num_frames: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A panned texture with noise and cuts: no two frames alike, none predicted without loss."""
    rng = np.random.default_rng(7)
    coarse = rng.uniform(0, 255, (height // 4 + 20, width // 4 + 20, 3))
    texture = coarse.repeat(4, axis=0).repeat(4, axis=1)
    frames = []
    for index in range(num_frames):
        top = int(30 + 25 * np.sin(index / 9))
        left = int(30 + 25 * np.cos(index / 7))
        frame = texture[top : top + height, left : left + width]
        if index // 23 % 2:
            frame = 255 - frame
        frames.append(frame + rng.normal(0, 6, frame.shape))
    return np.clip(frames, 0, 255).astype(np.uint8)


def encode(
    num_frames: int = 70,
    *,
    container: str = "mp4",
    pix_fmt: str = "yuv420p",
    params: str = "",
    first_pts: int = 0,
    change_packets: Callable[[list[av.Packet]], list[av.Packet]] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """A video of `moving_frames`, made with x264's own `params`.

    `first_pts` shifts all timestamps, in frames; MP4 hides what is before 0 with an edit list.
    `change_packets` gets the packets in the order stored.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=container_options or {}) as output:
        options = {"preset": "veryfast", "x264-params": f"log-level=none:threads=1:{params}"}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.time_base = Fraction(1, FPS)
        packets = []
        for index, pixels in enumerate(moving_frames(num_frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index + first_pts, Fraction(1, FPS)
            packets.extend(stream.encode(frame))
        packets.extend(stream.encode(None))
        packets = [packet for packet in packets if packet.size]
        for packet in packets if change_packets is None else change_packets(packets):
            output.mux(packet)
    return file.getvalue()


B_FRAMES = "bframes=3:b-adapt=0:scenecut=0"

# Decoded only as far as needed.
INDEXED = {
    "one_keyframe": {"params": f"{B_FRAMES}:keyint=250"},
    "pyramid_none": {"params": f"{B_FRAMES}:b-pyramid=none:keyint=20"},
    "pyramid_strict": {"params": f"{B_FRAMES}:b-pyramid=strict:keyint=20"},
    "pyramid_normal": {"params": "bframes=7:b-adapt=0:b-pyramid=normal:ref=6:keyint=24"},
    "many_b_frames": {"params": "bframes=16:b-adapt=0:b-bias=100:keyint=60"},
    "scene_cuts": {"params": "bframes=3:keyint=250:min-keyint=1:scenecut=80"},
    "short_sequences": {"params": "keyint=12:min-keyint=12"},
    "all_intra": {"params": "keyint=1"},
    "no_b_frames": {"params": "bframes=0:keyint=30"},
    "baseline": {"params": "bframes=0:cabac=0:8x8dct=0:weightp=0:keyint=30"},
    "open_sequences": {"params": f"{B_FRAMES}:open-gop=1:keyint=12:min-keyint=2"},
    "intra_refresh": {"params": "intra-refresh=1:keyint=20:bframes=2"},
    "four_slices": {"params": f"{B_FRAMES}:slices=4:keyint=20"},
    "delimiters_and_rate": {
        "params": "aud=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:keyint=20"
    },
    "repeated_headers": {"params": f"{B_FRAMES}:repeat-headers=1:keyint=12"},
    "full_colour": {"pix_fmt": "yuv444p", "params": f"{B_FRAMES}:keyint=20"},
    "ten_bit": {"pix_fmt": "yuv420p10le", "params": f"{B_FRAMES}:keyint=20"},
    "matroska": {"container": "matroska", "params": f"{B_FRAMES}:keyint=20"},
    "mov": {"container": "mov", "params": f"{B_FRAMES}:keyint=20"},
    "fragmented": {
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
        "params": f"{B_FRAMES}:keyint=20",
    },
    "late_start": {"first_pts": 45, "params": f"{B_FRAMES}:keyint=20"},
    "variable_rate": {
        "change_packets": lambda packets: [_unevenly(packet) for packet in packets],
        "params": "bframes=0:keyint=20",
    },
    # A picture that none refers to may go missing without a trace; there is one frame fewer.
    "lost_b_frame": {
        "change_packets": lambda packets: _without(packets, _disposable(packets)[5]),
        "params": f"{B_FRAMES}:b-pyramid=none:keyint=40",
    },
    "cut_at_a_packet": {
        "change_packets": lambda packets: packets[:51],
        "params": f"{B_FRAMES}:keyint=20",
    },
}

# Decoded from start to end, and why.
SEQUENTIAL = {
    "avi": ({"container": "avi", "params": B_FRAMES}, "the container avi is not indexed"),
    "transport_stream": (
        {"container": "mpegts", "params": B_FRAMES},
        "the container mpegts is not indexed",
    ),
    "elementary_stream": (
        {"container": "h264", "params": B_FRAMES},
        "the container h264 is not indexed",
    ),
    "interlaced": ({"params": "tff=1:keyint=20"}, "the video is interlaced"),
    "hidden_start": (
        {"first_pts": -13, "params": f"{B_FRAMES}:keyint=40"},
        "marked as damaged or not to be shown",
    ),
    "lost_reference": (
        {
            "change_packets": lambda packets: _without(packets, 8),
            "params": "bframes=0:keyint=40",
        },
        "a reference picture is missing",
    ),
    "lost_keyframe": (
        {
            "container": "matroska",
            "change_packets": lambda packets: packets[1:],
            "params": "bframes=0:keyint=40",
        },
        "does not start with a keyframe",
    ),
    "timestamps_as_stored": (
        {
            "container": "matroska",
            "change_packets": lambda packets: [_as_stored(packet) for packet in packets],
            "params": f"{B_FRAMES}:keyint=20",
        },
        "the timestamps are not in the order shown",
    ),
}


def _unevenly(packet: av.Packet) -> av.Packet:
    packet.pts = packet.dts = 2 * packet.pts + packet.pts % 2
    return packet


def _as_stored(packet: av.Packet) -> av.Packet:
    packet.pts = packet.dts
    return packet


def _without(packets: list[av.Packet], lost: int) -> list[av.Packet]:
    return packets[:lost] + packets[lost + 1 :]


def _disposable(packets: list[av.Packet]) -> list[int]:
    """Positions of slices (a unit type of 1) that none refers to, in length-prefixed packets."""
    found = []
    for position, packet in enumerate(packets):
        data, start = bytes(packet), 0
        for code in (b"\0\0\0\1", b"\0\0\1"):
            if data.startswith(code):
                start = len(code)
                break
        if data[start] == 1:
            found.append(position)
    return found
