"""Reading only the packets that the wanted frames need, where an index can be relied on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import av

from keras_tdn.data.decoding.frame_collector import FrameCollector
from keras_tdn.data.decoding.frame_conversion import square_size
from keras_tdn.data.decoding.h264_headers import UnsupportedStream
from keras_tdn.data.decoding.h264_index import PictureIndex, PictureIndexer
from keras_tdn.data.decoding.pyav_container import (
    open_container,
    prepare_codec,
    reason,
    video_stream,
)

# A video's packets are kept until they take this much; those of a larger one are read twice
# instead, so that memory does not grow with the file.
KEPT_PACKETS_BYTES = 64 * 2**20


class IndexedVideo:
    """A video whose packets were read, not decoded; a context that keeps it open.

    Args:
        name: How errors call the video.
        opened: Its path, or a seekable file object.

    Raises:
        UnsupportedStream: on entering, if the packets do not tell which frames the video has,
            saying why.
        VideoDecodeError: on entering, if it is not a video.
    """

    index: PictureIndex

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
        """Decodes what `collector` wants, once. False if the decoder finds damage."""
        index, codec = self.index, self._stream.codec_context
        collector.expect(square_size(self._stream, codec.height, codec.width))
        wanted = {index.timestamps[index.shown[number]]: number for number in collector.wanted}
        prepare_codec(self._stream, num_threads, strict=True)
        try:
            for frame in self._decode(collector.wanted):
                if frame.is_corrupt:
                    return False
                number = wanted.pop(frame.pts, None)
                if number is not None:
                    # All frames have one size, because the video has one set of parameters.
                    size = square_size(self._stream, frame.height, frame.width)
                    collector.add(number, frame, size)
        except (av.FFmpegError, OSError):
            return False
        return collector.is_complete

    def _index(self, container: av.container.InputContainer) -> None:
        codec = self._stream.codec_context
        if codec.name != "h264":
            raise UnsupportedStream(f"the codec {codec.name} is not indexed")
        indexer = PictureIndexer(container.format.name, codec.extradata)
        kept_bytes = 0
        try:
            for packet in container.demux(self._stream):
                # An empty packet ends the stream.
                if packet.size == 0:
                    continue
                indexer.add(packet)
                kept_bytes += packet.size
                if kept_bytes > KEPT_PACKETS_BYTES:
                    self._packets = None
                if self._packets is not None:
                    self._packets.append(packet)
        except (av.FFmpegError, OSError) as error:
            raise UnsupportedStream(f"reading fails midway ({reason(error)})") from error
        self.index = indexer.finish()

    def _decode(self, wanted: Iterable[int]) -> Iterator[av.VideoFrame]:
        codec = self._stream.codec_context
        with self._packets_again() as again:
            packets = _InOrder(again)
            for positions in self.index.needed(wanted):
                for position in positions:
                    yield from codec.decode(packets.at(position))
                # Each run starts with a keyframe that nothing before it bears on.
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


class _InOrder:
    """Packets by position, asked for in ascending order."""

    def __init__(self, packets: Iterable[av.Packet]) -> None:
        self._numbered = enumerate(packet for packet in packets if packet.size)

    def at(self, position: int) -> av.Packet:
        return next(packet for number, packet in self._numbered if number == position)
