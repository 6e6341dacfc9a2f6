"""From what users pass as a video to what a decoder can open."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO

from keras_tdn.data.decoding.interface import VideoDecodeError, VideoSource


def open_source(source: VideoSource) -> tuple[str, str | BinaryIO]:
    """How errors call the source, and its path or a seekable file object.

    Raises:
        VideoDecodeError: if there is nothing to read, with the reason.
        ValueError: if `source` is something else altogether.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        if len(source) == 0:
            raise VideoDecodeError(
                "Cannot read the video: it is 0 bytes long. Pass the whole content of a video file."
            )
        return f"the video of {len(source)} bytes", io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        name = repr(path)
        if os.path.isdir(path):
            raise VideoDecodeError(
                f"Cannot read {name}: it is a directory. Pass the path of one video file."
            )
        if not os.path.exists(path):
            raise VideoDecodeError(
                f"Cannot read {name}: there is no such file. Check the path; a relative one starts "
                f"at {os.getcwd()!r}."
            )
        if not os.path.isfile(path):
            raise VideoDecodeError(
                f"Cannot read {name}: it is {_kind(path)}, which may never end. Pass the path of a "
                "video file; `keras-tdn watch` reads pipes and cameras."
            )
        if not os.access(path, os.R_OK):
            raise VideoDecodeError(
                f"Cannot read {name}: no permission. Make the file readable for this user."
            )
        if os.path.getsize(path) == 0:
            raise VideoDecodeError(
                f"Cannot read {name}: the file is empty. Fetch or encode it again."
            )
        return name, path
    if callable(getattr(source, "read", None)):
        seekable = getattr(source, "seekable", None)
        if callable(seekable) and seekable():
            return f"the video in {source!r}", source
        return open_source(source.read())
    raise ValueError(
        "A video is the path of a file, its content as bytes, or a binary file object. "
        f"Received: {type(source).__name__}"
    )


def _kind(path: str) -> str:
    mode = os.stat(path).st_mode
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
