"""Opening what can be watched: files, pipes, addresses and cameras."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av

from keras_tdn.data.decoding import pyav_container
from keras_tdn.data.decoding.interface import VideoDecodeError, VideoSource, open_source
from keras_tdn.specs import is_positive_int

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
CREDENTIALS = re.compile(r"//[^/@]*@")
# Senders of these do not wait for a slow receiver.
LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtp", "srtp", "udp", "srt", "rtmp", "rtmps"})
# What an address may lead to, such as the parts of a playlist. Never a file of this machine.
NETWORK_PROTOCOLS = (
    "http,https,httpproxy,tcp,tls,udp,udplite,rtp,srtp,rtmp,rtmps,rtmpt,rtsp,rtsps,srt,crypto,data"
)
# Formats of addresses alone: what names further ones.
NETWORK_FORMATS = frozenset({"dash", "hls", "rtp", "rtp_mpegts", "rtsp", "sap", "sdp"})
CAMERA = re.compile(r"/dev/video\d+")
# More than FFmpeg's decoders make use of.
MAX_THREADS = 64


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """How a video is opened; the defaults do for files and most addresses.

    Args:
        format: Name of the container or device in FFmpeg's words, for example `"v4l2"`, `"mpegts"`
            or `"avfoundation"`. `None` finds out.
        options: Further options of FFmpeg, for example `{"video_size": "640x480"}` for a camera or
            `{"rtsp_transport": "tcp"}`.
        live: Whether segments are left out when the model is slower than the video, in runs, so
            that others make whole windows. `None` does so for cameras and for addresses whose
            senders do not wait, such as `rtsp://` and `udp://`.
        timeout_seconds: How long to wait for a sender or a camera; not for files and pipes.
        num_threads: Threads for decoding. With more than one, damage costs up to as many frames
            more.
    """

    format: str | None = None
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    live: bool | None = None
    timeout_seconds: float = 20.0
    num_threads: int = 1

    def __post_init__(self) -> None:
        named, options, seconds = self.format, self.options, self.timeout_seconds
        are_texts = isinstance(options, Mapping) and all(
            isinstance(item, str) for pair in options.items() for item in pair
        )
        is_number = isinstance(seconds, int | float) and seconds > 0
        is_count = is_positive_int(self.num_threads) and self.num_threads <= MAX_THREADS
        what = "is the name of a container or device as FFmpeg calls it, such as 'v4l2', or None"
        texts = "maps names of FFmpeg's options to texts, such as {'framerate': '30'}"
        for field, is_right, wanted in (
            ("format", named is None or (isinstance(named, str) and named), what),
            ("options", are_texts, texts),
            ("live", self.live is None or isinstance(self.live, bool), "is True, False or None"),
            ("timeout_seconds", is_number, "is a positive number"),
            ("num_threads", is_count, f"is an integer from 1 to {MAX_THREADS}"),
        ):
            if not is_right:
                raise ValueError(f"`{field}` {wanted}. Received: {field}={getattr(self, field)!r}")


@dataclasses.dataclass(frozen=True)
class Source:
    """What is to be opened."""

    # How errors call it, without passwords.
    name: str
    # What libav opens: a path, an address or a file object.
    opened: Any
    # Whether it has an end and may be read again.
    is_file: bool
    # Whether its sender does not wait.
    live: bool


def find_source(video: VideoSource, how: StreamOptions) -> Source:
    """Returns what is to be opened; raises as `open_source` does."""
    live = bool(how.live)
    if not isinstance(video, str | os.PathLike):
        seekable = getattr(video, "seekable", None)
        if callable(getattr(video, "read", None)) and not (callable(seekable) and seekable()):
            return Source(f"the video in {video!r}", video, False, live)
        return Source(*open_source(video), True, live)
    text = os.fsdecode(video).removeprefix("file://")
    scheme, is_camera = SCHEME.match(text), CAMERA.fullmatch(text) is not None
    if text == "-":
        return Source("standard input", "pipe:0", False, live)
    # The prefix keeps a file name with a colon from being taken for an address.
    if scheme or how.format or is_camera:
        # A format given for a file names its container.
        is_file = scheme is None and os.path.isfile(text)
        if how.live is None and not is_file:
            lives = how.format is not None if scheme is None else scheme[1].lower() in LIVE_SCHEMES
            live = lives or is_camera
        name = repr(CREDENTIALS.sub("//", text))
        return Source(name, f"file:{text}" if is_file else text, is_file, live)
    if os.path.exists(text) and (Path(text).is_fifo() or Path(text).is_char_device()):
        return Source(repr(text), f"file:{text}", False, live)
    return Source(open_source(text)[0], f"file:{text}", True, live)


@contextlib.contextmanager
def open_stream(source: Source, how: StreamOptions) -> Iterator[tuple[Any, Any]]:
    """Opens the container and its stream of moving pictures, ready to be decoded."""
    formats, protocols, form = pyav_container.FILE_FORMATS, "file", how.format
    timeout: float | None = None
    if isinstance(source.opened, str) and not source.opened.startswith(("file:", "pipe:")):
        timeout = how.timeout_seconds
        if form is None and CAMERA.fullmatch(source.opened) and sys.platform == "linux":
            form = "v4l2"
        formats, protocols = formats | NETWORK_FORMATS, NETWORK_PROTOCOLS
    elif source.opened == "pipe:0":
        protocols = "pipe"
    elif source.is_file and not isinstance(source.opened, str):
        source.opened.seek(0)
    try:
        container = pyav_container.open_input(
            source.opened, formats=formats, protocols=protocols, format=form,
            options=how.options, timeout=timeout,
        )  # fmt: skip
    except (av.FFmpegError, OSError, ValueError) as error:
        if source.is_file:
            why = pyav_container.why_not_opened(error)
        else:
            is_late = isinstance(error, av.error.ExitError)
            why = silence(timeout) if is_late else pyav_container.reason(error)
            why = (
                f"it does not open as a video ({why}). Check the name, that the sender or camera "
                "is on and free, and whether it needs `format` or `options` (on the command line "
                "--input-format and --input-option)."
            )
        raise VideoDecodeError(f"Cannot watch {source.name}: {why}") from error
    with container:
        stream = pyav_container.video_stream(source.name, container)
        # A picture that is damaged but stands for itself is better than none, and cameras send
        # motion JPEG that is not quite to the letter; what others are predicted from has to be
        # whole.
        strict = not stream.codec_context.codec.intra_only
        pyav_container.prepare_codec(stream, how.num_threads, strict)
        yield container, stream


def silence(seconds: float | None) -> str:
    """Returns the reason where nothing came for so long."""
    return f"nothing came for {seconds:g} seconds"
