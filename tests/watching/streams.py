"""Videos with times of their own, damaged ones, and senders."""

import io
import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np
from synthetic_videos import HEIGHT, WIDTH, numbered_frame

FAST = {"tune": "zerolatency", "preset": "ultrafast", "g": "12"}


def encode_at(times, container="matroska", time_base=Fraction(1, 1000), late=()):
    """A video of numbered frames shown at those times, in ticks; some much later than decoded.

    `late` has pairs of a frame's number and the ticks.
    """
    late = dict(late)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("libx264", rate=25, options=FAST)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = time_base
        for number, ticks in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number % 256), format="rgb24")
            frame.pts, frame.time_base = ticks, time_base
            for packet in stream.encode(frame):
                packet.pts += late.get(number, 0)
                output.mux(packet)
        output.mux(stream.encode(None))
    return file.getvalue()


def damage_packets(content, numbers, seed=0):
    """The same file with noise for the pictures in those packets."""
    with av.open(io.BytesIO(content)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    damaged = bytearray(content)
    rng = np.random.default_rng(seed)
    for number in numbers:
        position, size = places[number]
        damaged[position + 8 : position + size] = rng.bytes(size - 8)
    return bytes(damaged)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sender(threading.Thread):
    """Sends numbered frames to an address, at their own pace."""

    def __init__(self, address, num_frames, wait=0.5, rate=25, container="mpegts"):
        super().__init__(daemon=True)
        self.arguments = address, num_frames, wait, rate, container

    def run(self):
        address, num_frames, wait, rate, container = self.arguments
        time.sleep(wait)
        with av.open(address, "w", format=container) as output:
            stream = output.add_stream("libx264", rate=rate, options=FAST)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            begin = time.monotonic()
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(numbered_frame(number % 256), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, rate)
                output.mux(stream.encode(frame))
                time.sleep(max(0.0, begin + number / rate - time.monotonic()))
            output.mux(stream.encode(None))
