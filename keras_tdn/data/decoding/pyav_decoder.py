"""The default decoder: PyAV, which carries FFmpeg's libraries."""

from __future__ import annotations

import bisect
import collections
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import av
import numpy as np

from keras_tdn.data.decoding.frame_conversion import FrameCollector, square_size
from keras_tdn.data.decoding.interface import (
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

    Use it through `get_decoder` or `read_frames`. Where the packets alone say which frames a video
    has (see `packet_index`), decoding starts at the keyframe before each wanted frame, ends with
    the last wanted one, and leaves out pictures that are neither wanted nor referred to. Every
    other video is decoded from start to end. Both ways give the same frames, of damaged videos
    too: a picture that the decoder drops keeps its number, and the one before stands for it. What
    would take more memory than `keras_tdn.limits` allows is refused before it is decoded.

    Args:
        num_threads: Threads for one video; `None` takes as many as there are processors.
        max_bytes: The most that the frames of one call may take; see `get_decoder`.

    Example:

    >>> PyAVDecoder(num_threads=1).read_frames("video.mp4", lambda num_frames: [0]).shape
    (1, 256, 340, 3)
    """

    def __init__(self, num_threads: int | None = None, max_bytes: int | None = None) -> None:
        self.num_threads, self.max_bytes = num_threads, max_bytes

    def read_frames(
        self,
        source: VideoSource,
        choose_indices: Callable[[int], Any],
        size: FrameSize = None,
    ) -> np.ndarray:
        """Reads chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        # Wrong arguments are reported before the time that decoding takes is spent.
        resized_size(size, 1, 1)
        name, opened = open_source(source)

        def collect(num_frames: int) -> FrameCollector:
            indices = check_indices(choose_indices(num_frames), num_frames)
            return FrameCollector(name, indices, size, self.num_threads, self.max_bytes)

        index = None
        with contextlib.suppress(NotIndexedError), IndexedVideo(name, opened) as video:
            index = video.index
            collector = collect(len(index.shown))
            if video.read_into(collector, self.num_threads):
                return collector.pixels
        return _read_sequentially(name, opened, self.num_threads, collect, index).pixels


def why_sequential(source: VideoSource) -> str:
    """Returns why a video is always decoded from start to end; empty if it is not.

    Raises:
        VideoDecodeError: if the source is not a video.
    """
    try:
        with IndexedVideo(*open_source(source)):
            return ""
    except NotIndexedError as error:
        return str(error)


class IndexedVideo:
    """A video whose packets were read, not decoded; a context that keeps it open.

    Args:
        name: How errors call the video.
        opened: Its path, or a seekable file object.

    Raises:
        NotIndexedError: on entering, if the packets do not say which frames the video has,
            saying why.
        VideoDecodeError: on entering, if it is not a video.
    """

    index: PacketIndex

    def __init__(self, name: str, opened: str | BinaryIO) -> None:
        self._name, self._opened = name, opened
        self._packets: list[av.Packet] | None = []
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> IndexedVideo:
        with contextlib.ExitStack() as resources:
            container = resources.enter_context(open_container(self._name, self._opened))
            self._stream = video_stream(self._name, container)
            self._index(container)
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

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
            with self._packets_again() as again:
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

    def _index(self, container: av.container.InputContainer) -> None:
        try:
            self.index = index_packets(
                container.format.name, self._stream.codec_context, self._keep(container)
            )
        except (av.FFmpegError, OSError) as error:
            raise NotIndexedError(f"reading fails midway ({reason(error)})") from error

    def _keep(self, container: av.container.InputContainer) -> Iterator[av.Packet]:
        kept_bytes = 0
        for packet in container.demux(self._stream):
            # An empty packet ends the stream.
            if packet.size == 0:
                continue
            yield packet
            kept_bytes += packet.size
            if kept_bytes > KEPT_PACKETS_BYTES:
                self._packets = None
            if self._packets is not None:
                self._packets.append(packet)

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

    @contextlib.contextmanager
    def _packets_again(self) -> Iterator[Iterable[av.Packet]]:
        if self._packets is not None:
            yield self._packets
        else:
            with open_container(self._name, self._opened) as container:
                yield container.demux(video_stream(self._name, container))


def _read_sequentially(
    name: str,
    opened: str | BinaryIO,
    num_threads: int | None,
    make_collector: Callable[[int], FrameCollector],
    index: PacketIndex | None,
) -> FrameCollector:
    """Decodes every frame, and converts those that the collector for their number wants.

    Raises:
        VideoDecodeError: if no frame decodes, or fewer the second time than the first.
    """
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
        raise VideoDecodeError(
            f"Cannot read {name}: not one of its frames decodes. The file is damaged or "
            "incomplete; fetch or encode it again."
        )
    decoded = _decoded_frames(times, index)
    collector = make_collector(len(decoded))
    collector.expect(stored_size)
    if frames is not None:
        for number in collector.wanted:
            collector.add(number, frames[decoded[number]], stored_size)
        return collector
    wanted = collections.defaultdict(list)
    for number in collector.wanted:
        wanted[decoded[number]].append(number)
    for at, (frame, _) in enumerate(every_frame(name, opened, num_threads)):
        for number in wanted[at]:
            collector.add(number, frame, stored_size)
        if collector.is_complete:
            return collector
    raise VideoDecodeError(
        f"Cannot read {name}: it had {len(times)} frames at first and fewer when read again. "
        "Read it when nothing is writing to it."
    )


def _decoded_frames(times: list[int | None], index: PacketIndex | None) -> Sequence[int]:
    """Returns which of the frames that decode, shown at `times`, each frame of the video is.

    Decoders drop pictures that refer to damage. Where the packets are indexed, they number the
    frames, so that a number means one frame whatever else is read; the frame before stands for a
    dropped one.
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
    """Yields every frame that decodes, in the order shown, with its size in square pixels.

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
