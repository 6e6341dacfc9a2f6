"""Videos as encoders really write them: every way of ordering pictures that players meet."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from synthetic_videos import same_priority

from keras_tdn.data.decoding.interface import open_source
from keras_tdn.data.decoding.packet_index import NotIndexedError
from keras_tdn.data.decoding.pyav_container import open_container
from keras_tdn.data.decoding.pyav_decoder import IndexedVideo

HEIGHT, WIDTH = 72, 104
FPS = 30


def why_sequential(source) -> str:
    """Why the decoder takes a video from start to end; empty if its packets are indexed."""
    name, opened = open_source(source)
    with open_container(name, opened) as container:
        try:
            IndexedVideo(name, opened, container)
        except NotIndexedError as error:
            return str(error)
    return ""


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
    codec: str = "libx264",
    container: str = "mp4",
    pix_fmt: str = "yuv420p",
    params: str = "",
    options: dict[str, str] | None = None,
    first_pts: int = 0,
    change_packets: Callable[[list[av.Packet]], list[av.Packet]] | None = None,
    container_options: dict[str, str] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> bytes:
    """A video of `moving_frames`, made with the encoder's own `params`, or with `options`.

    `first_pts` shifts all timestamps, in frames; MP4 hides what is before 0 with an edit list.
    `change_packets` gets the packets in the order stored.
    """
    file = io.BytesIO()
    with (
        same_priority(),
        av.open(file, "w", format=container, options=container_options or {}) as output,
    ):
        settings = {**COMMON.get(codec, {}), **(options or {})}
        if codec in PARAMS:
            name, common = PARAMS[codec]
            settings[name] = f"{common}:{params}" if params else common
        stream = output.add_stream(codec, rate=FPS, options=settings)
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.time_base = Fraction(1, FPS)
        packets = []
        for index, pixels in enumerate(moving_frames(num_frames, *size)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index + first_pts, Fraction(1, FPS)
            packets.extend(stream.encode(frame))
        packets.extend(stream.encode(None))
        packets = [packet for packet in packets if packet.size]
        for packet in packets if change_packets is None else change_packets(packets):
            output.mux(packet)
    return file.getvalue()


# Encoders as fast as they get, and how each is told what has no option of FFmpeg's.
COMMON: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12"},
}
PARAMS = {
    "libx264": ("x264-params", "log-level=none:threads=1"),
    "libx265": ("x265-params", "log-level=none:pools=1:frame-threads=1"),
    "libsvtav1": ("svtav1-params", "lp=1"),
}

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
    # Decoders make one up, the same from the same keyframe.
    "lost_reference": {
        "change_packets": lambda packets: _without(packets, 8),
        "params": "bframes=0:keyint=40",
    },
    "interlaced": {"params": "tff=1:keyint=20"},
    "cut_at_a_packet": {
        "change_packets": lambda packets: packets[:51],
        "params": f"{B_FRAMES}:keyint=20",
    },
}

HEVC = "libx265"
HEVC_B_FRAMES = "bframes=4:b-adapt=0:scenecut=0:keyint=20:min-keyint=2"
VP9 = {"cpu-used": "6", "lag-in-frames": "25", "auto-alt-ref": "1", "b": "200k"}

# The same of other codecs.
INDEXED |= {
    # Leading pictures that refer to what is before their keyframe, the encoder's default.
    "hevc_open": {"codec": HEVC, "params": HEVC_B_FRAMES},
    "hevc_open_deep": {
        "codec": HEVC,
        "params": "bframes=8:b-adapt=0:scenecut=0:keyint=24:rc-lookahead=20:ref=4",
    },
    "hevc_closed": {"codec": HEVC, "params": f"{HEVC_B_FRAMES}:open-gop=0"},
    # Leading pictures that do not.
    "hevc_leading": {"codec": HEVC, "params": f"{HEVC_B_FRAMES}:open-gop=0:radl=2"},
    "hevc_no_b_frames": {"codec": HEVC, "params": "bframes=0:keyint=20"},
    "hevc_one_keyframe": {"codec": HEVC, "params": "bframes=3:keyint=250"},
    "hevc_all_intra": {"codec": HEVC, "params": "keyint=1"},
    "hevc_temporal_layers": {"codec": HEVC, "params": f"{HEVC_B_FRAMES}:temporal-layers=3"},
    "hevc_slices": {"codec": HEVC, "params": f"{HEVC_B_FRAMES}:slices=2", "size": (160, 160)},
    "hevc_repeated_headers": {"codec": HEVC, "params": f"{HEVC_B_FRAMES}:repeat-headers=1:aud=1"},
    "hevc_intra_refresh": {"codec": HEVC, "params": "intra-refresh=1:keyint=20:bframes=0"},
    "hevc_ten_bit": {"codec": HEVC, "pix_fmt": "yuv420p10le", "params": HEVC_B_FRAMES},
    "hevc_matroska": {"codec": HEVC, "container": "matroska", "params": HEVC_B_FRAMES},
    "hevc_fragmented": {
        "codec": HEVC,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
        "params": HEVC_B_FRAMES,
    },
    "hevc_late_start": {"codec": HEVC, "first_pts": 45, "params": HEVC_B_FRAMES},
    # Several pictures in one packet, of which one is shown.
    "vp9_hidden": {"codec": "libvpx-vp9", "container": "webm", "options": {**VP9, "g": "40"}},
    "vp9_mp4": {"codec": "libvpx-vp9", "options": {**VP9, "g": "20"}},
    "vp9_one_keyframe": {"codec": "libvpx-vp9", "container": "webm", "options": {"g": "250"}},
    "vp9_resilient": {
        "codec": "libvpx-vp9",
        "container": "matroska",
        "options": {"error-resilient": "1", "lag-in-frames": "0", "g": "20"},
    },
    "av1_mp4": {"codec": "libsvtav1", "options": {"g": "20"}},
    "av1_matroska": {"codec": "libsvtav1", "container": "matroska", "options": {"g": "20"}},
    "av1_one_keyframe": {"codec": "libsvtav1", "container": "webm", "options": {"g": "250"}},
    # What containers say of keyframes is not needed.
    "no_flags": {"params": f"{B_FRAMES}:keyint=20", "change_packets": lambda p: _flagged(p, False)},
    "all_flags": {"params": f"{B_FRAMES}:keyint=20", "change_packets": lambda p: _flagged(p, True)},
    "hevc_all_flags": {
        "codec": HEVC,
        "params": HEVC_B_FRAMES,
        "change_packets": lambda packets: _flagged(packets, True),
    },
    "vp9_no_flags": {
        "codec": "libvpx-vp9",
        "container": "matroska",
        "options": {"g": "20"},
        "change_packets": lambda packets: _flagged(packets, False),
    },
    "av1_all_flags": {
        "codec": "libsvtav1",
        "options": {"g": "20"},
        "change_packets": lambda packets: _flagged(packets, True),
    },
    # Starts that are no keyframes: decoding starts at the first picture.
    "av1_open": {"codec": "libsvtav1", "options": {"g": "32"}, "params": "irefresh-type=1"},
    "av1_low_delay": {"codec": "libsvtav1", "options": {"g": "20"}, "params": "pred-struct=1"},
    "av1_grain": {"codec": "libsvtav1", "options": {"g": "20"}, "params": "film-grain=10"},
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
    "mpeg4": ({"codec": "mpeg4", "options": {"bf": "2"}}, "the codec mpeg4 is not indexed"),
    "vp8": (
        {"codec": "libvpx", "container": "webm", "options": {"g": "20"}},
        "the codec vp8 is not indexed",
    ),
    "hidden_start": (
        {"first_pts": -13, "params": f"{B_FRAMES}:keyint=40"},
        "marked as damaged or not to be shown",
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
    "hevc_timestamps_as_stored": (
        {
            "codec": HEVC,
            "container": "matroska",
            "change_packets": lambda packets: [_as_stored(packet) for packet in packets],
            "params": HEVC_B_FRAMES,
        },
        "a picture is shown before its keyframe",
    ),
    "two_of_one_time": (
        {
            "container": "matroska",
            "change_packets": lambda packets: _moved(packets, 7, 1),
            "params": "bframes=0:keyint=20",
        },
        "two packets have one timestamp",
    ),
    "moved_without_reordering": (
        {
            "container": "matroska",
            "change_packets": lambda packets: _moved(packets, 17, 10.5),
            "params": "bframes=0:keyint=20",
        },
        "shown further out of order than announced",
    ),
    "moved_over_a_keyframe": (
        {
            "container": "matroska",
            "change_packets": lambda packets: _moved(packets, 19, 5.5),
            "params": f"{B_FRAMES}:keyint=20",
        },
        "shown after the keyframe that follows it",
    ),
    "hevc_hidden_start": (
        {"codec": HEVC, "first_pts": -13, "params": f"{HEVC_B_FRAMES}:keyint=40"},
        "marked as damaged or not to be shown",
    ),
    "hevc_lost_keyframe": (
        {
            "codec": HEVC,
            "container": "matroska",
            "change_packets": lambda packets: _from_second_keyframe(packets),
            "params": HEVC_B_FRAMES,
        },
        "a picture is shown before its keyframe",
    ),
    # The leading pictures of the second keyframe refer to what is lost: decoders drop them.
    "hevc_lost_references": (
        {
            "codec": HEVC,
            "container": "matroska",
            "change_packets": lambda packets: packets[:6] + packets[16:],
            "params": HEVC_B_FRAMES,
        },
        "may be missing",
    ),
}


def _unevenly(packet: av.Packet) -> av.Packet:
    packet.pts = packet.dts = 2 * packet.pts + packet.pts % 2
    return packet


def _as_stored(packet: av.Packet) -> av.Packet:
    packet.pts = packet.dts
    return packet


def _flagged(packets: list[av.Packet], is_keyframe: bool) -> list[av.Packet]:
    for packet in packets:
        packet.is_keyframe = is_keyframe
    return packets


def _from_second_keyframe(packets: list[av.Packet]) -> list[av.Packet]:
    return packets[[at for at, packet in enumerate(packets) if packet.is_keyframe][1] :]


def _moved(packets: list[av.Packet], position: int, by: float) -> list[av.Packet]:
    """With one packet shown some frames later."""
    packet = packets[position]
    step = Fraction(1, FPS) / packet.time_base
    packet.pts = round(packet.pts + by * step)
    return packets


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
