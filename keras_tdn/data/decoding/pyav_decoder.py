"""The default decoder: PyAV, which carries FFmpeg's libraries."""

from __future__ import annotations

import bisect
import collections
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import av
import numpy as np

from keras_tdn.data.decoding.frame_conversion import FrameCollector, square_size
from keras_tdn.data.decoding.interface import (
    NO_FRAMES,
    ChooseIndices,
    FrameSize,
    VideoDecodeError,
    VideoSource,
    check_indices,
    open_source,
    resized_size,
)
from keras_tdn.data.decoding.packet_index import NotIndexedError, PacketIndex, index_packets
from keras_tdn.data.decoding.pyav_container import (
    open_container,
    prepare_codec,
    reason,
    video_stream,
)

# A video's packets are kept until they take this much; those of a larger one are read twice
# instead, so that memory does not grow with the file.
KEPT_PACKETS_BYTES = 64 * 2**20
# Decoded frames are kept, in the decoder's own compact pixel format, until they take this much;
# a longer video is decoded a second time instead.
KEPT_FRAMES_BYTES = 128 * 2**20


class PyAVDecoder:
    """Decodes each video once, and where its packets allow it, only what the wanted frames need.

    Use it through `get_decoder`. Where the packets alone say which frames a video has (see
    `packet_index`), decoding starts at the keyframe before each wanted frame, ends with the last,
    and leaves out pictures that are neither wanted nor referred to. Every other video is decoded
    from start to end. Both ways give the same frames, of damaged videos too: a picture that the
    decoder drops keeps its number, and the one before stands for it.
    """

    def __init__(self, num_threads: int | None = None, max_bytes: int | None = None) -> None:
        self.num_threads, self.max_bytes = num_threads, max_bytes

    def read_frames(
        self, source: VideoSource, choose_indices: ChooseIndices, size: FrameSize = None
    ) -> np.ndarray:
        """Reads chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        # Wrong arguments are reported before the time that decoding takes is spent.
        resized_size(size, 1, 1)
        name, opened = open_source(source)

        def collect(num_frames: int) -> FrameCollector:
            indices = check_indices(choose_indices(num_frames), num_frames)
            return FrameCollector(name, indices, size, self.num_threads, self.max_bytes)

        index = None
        with contextlib.suppress(NotIndexedError), open_container(name, opened) as container:
            video = IndexedVideo(name, opened, container)
            index = video.index
            collector = collect(len(index.shown))
            if video.read_into(collector, self.num_threads):
                return collector.pixels
        return _read_sequentially(name, opened, self.num_threads, collect, index).pixels


class IndexedVideo:
    """A video of which the packets were read, not decoded, and are kept if they are not too large.

    `name`, `opened` and `container` are those of `open_container`, whose block it stays in. Raises
    a `NotIndexedError`, saying why, if the packets do not say which frames the video has.
    """

    def __init__(
        self, name: str, opened: str | BinaryIO, container: av.container.InputContainer
    ) -> None:
        self._name, self._opened = name, opened
        self._stream = video_stream(name, container)
        self.packets: list[av.Packet] | None = []
        codec = self._stream.codec_context
        try:
            self.index = index_packets(container.format.name, codec, self._keep(container))
        except (av.FFmpegError, OSError) as error:
            raise NotIndexedError(f"reading fails midway ({reason(error)})") from error

    def read_into(self, collector: FrameCollector, num_threads: int | None) -> bool:
        """Decodes what `collector` wants, once. False if the decoder contradicts the index."""
        index, codec = self.index, self._stream.codec_context
        stored_size = codec.height, codec.width
        square = square_size(self._stream, *stored_size)
        collector.expect(square)
        numbers = {position: number for number, position in enumerate(index.shown)}
        wanted = set(collector.wanted)
        prepare_codec(self._stream, num_threads, strict=True)
        try:
            with contextlib.ExitStack() as resources:
                again = self.packets
                if again is None:
                    container = resources.enter_context(open_container(self._name, self._opened))
                    again = container.demux(video_stream(self._name, container))
                packets = enumerate(packet for packet in again if packet.size)
                for run in index.needed(wanted):
                    # One frame for each packet that shows one, in the order shown.
                    expected = iter(sorted(numbers[at] for at in run if at in numbers))
                    for frame in self._decode(run, packets):
                        number = next(expected, None)
                        if (
                            number is None
                            or frame.is_corrupt
                            or frame.pts != index.timestamps[index.shown[number]]
                            # Those of another size are scaled to the first, which is not read here.
                            or (frame.height, frame.width) != stored_size
                        ):
                            return False
                        if number in wanted:
                            collector.add(number, frame, square)
                    if next(expected, None) is not None:
                        return False
        except (av.FFmpegError, OSError):
            return False
        return collector.is_complete

    def _keep(self, container: av.container.InputContainer) -> Iterator[av.Packet]:
        kept_bytes = 0
        for packet in container.demux(self._stream):
            # An empty packet ends the stream.
            if packet.size == 0:
                continue
            yield packet
            kept_bytes += packet.size
            if kept_bytes > KEPT_PACKETS_BYTES:
                self.packets = None
            if self.packets is not None:
                self.packets.append(packet)

    def _decode(
        self, run: list[int], packets: Iterator[tuple[int, av.Packet]]
    ) -> Iterator[av.VideoFrame]:
        codec = self._stream.codec_context
        for position in run:
            yield from codec.decode(next(packet for at, packet in packets if at == position))
        # Each run starts at a picture that needs nothing before it.
        with contextlib.suppress(EOFError):
            yield from codec.decode(None)
        codec.flush_buffers()


def _read_sequentially(
    name: str,
    opened: str | BinaryIO,
    num_threads: int | None,
    make_collector: Callable[[int], FrameCollector],
    index: PacketIndex | None,
) -> FrameCollector:
    """Decodes every frame, and converts those that the collector for their number wants."""
    frames: list[av.VideoFrame] | None = []
    times = list[int | None]()
    kept_bytes = 0
    stored_size = (0, 0)
    for frame, size in every_frame(name, opened, num_threads):
        if not times:
            stored_size = size
        times.append(frame.pts)
        if frames is not None:
            frames.append(frame)
            kept_bytes += sum(plane.buffer_size for plane in frame.planes)
            if kept_bytes > KEPT_FRAMES_BYTES:
                frames = None
    if not times:
        raise VideoDecodeError(f"Cannot read {name}: {NO_FRAMES}")
    decoded = _decoded_frames(times, index)
    collector = make_collector(len(decoded))
    collector.expect(stored_size)
    wanted = collections.defaultdict(list)
    for number in collector.wanted:
        wanted[decoded[number]].append(number)
    again = frames or (frame for frame, _ in every_frame(name, opened, num_threads))
    for at, frame in enumerate(again):
        for number in wanted.get(at, ()):
            collector.add(number, frame, stored_size)
        if collector.is_complete:
            return collector
    raise VideoDecodeError(
        f"Cannot read {name}: it had {len(times)} frames at first and fewer when read again. "
        "Read it when nothing is writing to it."
    )


def _decoded_frames(times: list[int | None], index: PacketIndex | None) -> Sequence[int]:
    """Returns which of the frames that decode, shown at `times`, each frame of the video is.

    Decoders drop pictures that refer to damage; the frame before stands for a dropped one. Where
    packets are indexed, they number the frames, so that a number always means one frame.
    """
    if index is not None:
        numbers = {index.timestamps[position]: at for at, position in enumerate(index.shown)}
        found = [numbers.get(time, -1) if time is not None else -1 for time in times]
        if found[0] >= 0 and all(number < later for number, later in itertools.pairwise(found)):
            return [max(0, bisect.bisect(found, number) - 1) for number in range(len(numbers))]
    return range(len(times))


def every_frame(
    name: str, opened: str | BinaryIO, num_threads: int | None
) -> Iterator[tuple[av.VideoFrame, tuple[int, int]]]:
    """Yields every frame that decodes, in the decoder's order, with its size in square pixels.

    Sorting by timestamps would be wrong where a container has none to speak of, as AVI, whose
    timestamps number the packets and so run backwards around B-frames.
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
