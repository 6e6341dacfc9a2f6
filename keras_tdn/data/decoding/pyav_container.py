"""Opening a video with PyAV, in the one way that every reading of it shares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

import av

from keras_tdn.data.decoding.interface import VideoDecodeError

# A file may name other files or addresses (playlists, references): nothing else is ever opened.
OPEN_OPTIONS = {"protocol_whitelist": "file"}

# libav draws these text formats as if they were pictures.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})

# More pixels than frames of any video have. A damaged header may ask for more, and for the memory.
MAX_PIXELS = 2**26


@contextlib.contextmanager
def open_container(name: str, opened: str | BinaryIO) -> Iterator[av.container.InputContainer]:
    """The container, from its start; `name` is for errors.

    Raises:
        VideoDecodeError: if libav does not take it for a video.
    """
    if isinstance(opened, str):
        # The prefix keeps a file name with a colon from being taken for a network address.
        opened = f"file:{opened}"
    else:
        opened.seek(0)
    try:
        # Tags need not be UTF-8.
        container = av.open(opened, options=OPEN_OPTIONS, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise VideoDecodeError(
            f"Cannot read {name}: it is not a video, or one cut short before its index "
            f"({reason(error)}). Check that it plays, and fetch or encode it again if not."
        ) from error
    with container:
        yield container


def video_stream(name: str, container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures.

    Raises:
        VideoDecodeError: if there is none, naming what there is.
    """
    found = []
    for stream in container.streams:
        kind = stream.type
        if kind == "video":
            codec = stream.codec_context
            if stream.disposition & av.stream.Disposition.attached_pic:
                kind = "a cover picture"
            elif codec is None:
                kind = "video in an unknown format"
            elif codec.name in TEXT_CODECS:
                kind = "text"
            else:
                return stream
        found.append(kind)
    raise VideoDecodeError(
        f"Cannot read {name}: it has no video that PyAV can decode, only "
        f"{', '.join(found) or 'a header'}. Pass a file with moving pictures."
    )


def prepare_codec(stream: av.VideoStream, num_threads: int | None, strict: bool = False) -> None:
    """Settings that hold once decoding starts; a `strict` decoder reports all damage as errors."""
    codec = stream.codec_context
    codec.options = {"max_pixels": str(MAX_PIXELS), **({"err_detect": "explode"} if strict else {})}
    codec.thread_type = "AUTO"
    # libav takes 0 for as many as there are processors.
    codec.thread_count = num_threads or 0


def reason(error: Exception) -> str:
    """What libav says went wrong, without the file name."""
    return str(getattr(error, "strerror", None) or error)
