"""Reading a video from start to end: right for every video that decodes at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import av

from keras_tdn.data.decoding.frame_collector import FrameCollector
from keras_tdn.data.decoding.frame_conversion import square_size
from keras_tdn.data.decoding.interface import VideoDecodeError
from keras_tdn.data.decoding.pyav_container import open_container, prepare_codec, video_stream

# Decoded frames are kept, in the decoder's own compact pixel format, until they take this much;
# a longer video is decoded a second time instead, so that memory does not grow with its length.
KEPT_FRAMES_BYTES = 128 * 2**20


def read_sequentially(
    name: str,
    opened: str | BinaryIO,
    num_threads: int | None,
    make_collector: Callable[[int], FrameCollector],
) -> FrameCollector:
    """Decodes every frame, and converts those that the collector for their number wants.

    Raises:
        VideoDecodeError: if no frame decodes, or fewer the second time than the first.
    """
    frames: list[av.VideoFrame] | None = []
    kept_bytes = num_frames = 0
    stored_size = (0, 0)
    for frame, size in every_frame(name, opened, num_threads):
        if num_frames == 0:
            stored_size = size
        num_frames += 1
        if frames is not None:
            frames.append(frame)
            kept_bytes += sum(plane.buffer_size for plane in frame.planes)
            if kept_bytes > KEPT_FRAMES_BYTES:
                frames = None
    if num_frames == 0:
        raise VideoDecodeError(
            f"Cannot read {name}: not one of its frames decodes. The file is damaged or "
            "incomplete; fetch or encode it again."
        )
    collector = make_collector(num_frames)
    collector.expect(stored_size)
    if frames is not None:
        for index in collector.wanted:
            collector.add(index, frames[index], stored_size)
        return collector
    wanted = set(collector.wanted)
    for index, (frame, _) in enumerate(every_frame(name, opened, num_threads)):
        if index in wanted:
            collector.add(index, frame, stored_size)
            if collector.is_complete:
                return collector
    raise VideoDecodeError(
        f"Cannot read {name}: it had {num_frames} frames at first and fewer when read again. "
        "Read it when nothing is writing to it."
    )


def every_frame(
    name: str, opened: str | BinaryIO, num_threads: int | None
) -> Iterator[tuple[av.VideoFrame, tuple[int, int]]]:
    """Every frame that decodes, in the order shown, with its height and width in square pixels.

    That order is the decoder's own: it delays what the stream says is shown later. Sorting by
    timestamps would be wrong where a container has none to speak of, as AVI, whose timestamps
    number the packets and so run backwards around B-frames.
    """
    with open_container(name, opened) as container:
        stream = video_stream(name, container)
        prepare_codec(stream, num_threads)
        packets = container.demux(stream)
        packet: av.Packet | None
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                # The rest of the file is unreadable, but the decoder may still hold frames.
                packet = None
            try:
                frames = stream.decode(packet)
            except av.FFmpegError:
                # A damaged packet, which later ones can decode without; or nothing is left.
                frames = []
            for frame in frames:
                yield frame, square_size(stream, frame.height, frame.width)
            if packet is None:
                return
