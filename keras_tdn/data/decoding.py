"""Frames out of a video file. The only module that knows the decoder, which is PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import av
import numpy as np

VideoSource = str | os.PathLike[str] | bytes | BinaryIO

# Decoded frames are kept, in the decoder's own compact pixel format, until they take this much;
# a longer video is decoded a second time instead, so that memory does not grow with its length.
KEPT_FRAMES_BYTES = 128 * 2**20

# A file may name other files or addresses (playlists, references): nothing else is ever opened.
OPEN_OPTIONS = {"protocol_whitelist": "file"}

# libav draws these text formats as if they were pictures.
TEXT_CODECS = frozenset({"ansi", "bintext", "idf", "xbin"})


class VideoDecodeError(ValueError):
    """The source is not a video that frames can be read from; the message says why, in one line."""


def read_frames(source: VideoSource, choose_indices: Callable[[int], Any]) -> np.ndarray:
    """Reads chosen frames of a video.

    Use it wherever pixels are needed from a file. Frames count in the order in which they are
    shown, from 0, and every frame that decodes counts: headers are not trusted, because many
    containers have no frame count and some have a wrong one. A damaged or truncated file gives the
    frames that do decode.

    The first video stream is read that is not a cover picture. Frames are turned upright as their
    rotation tag says. Transparency is dropped, and frames whose size changes along the way are
    scaled to the size of the first.

    Args:
        source: Path of a video file, its content as bytes, or a binary file object.
        choose_indices: Called once with the number of frames; returns the zero-based indices of
            the frames wanted, in any shape, order and number.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(number of indices, height, width, 3)`,
        in the order of the flattened indices.

    Raises:
        VideoDecodeError: if the source is missing, empty, not a video or without a frame that
            decodes.
        ValueError: if `choose_indices` returns something other than indices of frames.

    Example:

    >>> first_and_last = read_frames("video.mp4", lambda num_frames: [0, num_frames - 1])
    """
    name, opened = _open_source(source)
    frames: list[av.VideoFrame] | None = []
    kept_bytes = num_frames = 0
    shape = (0, 0)
    for frame in _decode(name, opened):
        if num_frames == 0:
            shape = (frame.height, frame.width)
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

    indices = _check_indices(choose_indices(num_frames), num_frames)
    wanted, positions = np.unique(indices, return_inverse=True)
    pixels: np.ndarray | None = None
    found = 0
    for index, frame in enumerate(_decode(name, opened) if frames is None else frames):
        if index != wanted[found]:
            continue
        picture = _upright_rgb(frame, shape)
        if pixels is None:
            pixels = np.empty((len(indices), *picture.shape), np.uint8)
        pixels[positions == found] = picture
        found += 1
        if found == len(wanted):
            return pixels
    raise VideoDecodeError(
        f"Cannot read {name}: it had {num_frames} frames at first and fewer when read again. "
        "Read it when nothing is writing to it."
    )


def _open_source(source: VideoSource) -> tuple[str, str | BinaryIO]:
    """How errors call the source, and what libav can open, twice if need be."""
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
        if not os.access(path, os.R_OK):
            raise VideoDecodeError(
                f"Cannot read {name}: no permission. Make the file readable for this user."
            )
        if os.path.isfile(path) and os.path.getsize(path) == 0:
            raise VideoDecodeError(
                f"Cannot read {name}: the file is empty. Fetch or encode it again."
            )
        # The prefix keeps a file name with a colon from being taken for a network address.
        return name, f"file:{path}"
    if callable(getattr(source, "read", None)):
        seekable = getattr(source, "seekable", None)
        if callable(seekable) and seekable():
            return f"the video in {source!r}", source
        return _open_source(source.read())
    raise ValueError(
        "A video is the path of a file, its content as bytes, or a binary file object. "
        f"Received: {type(source).__name__}"
    )


def _decode(name: str, opened: str | BinaryIO) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, in the order shown.

    That order is the decoder's own: it delays what the stream says is shown later. Sorting by
    timestamps would be wrong where a container has none to speak of, as AVI, whose timestamps
    number the packets and so run backwards around B-frames.
    """
    if not isinstance(opened, str):
        opened.seek(0)
    try:
        container = av.open(opened, options=OPEN_OPTIONS, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise VideoDecodeError(
            f"Cannot read {name}: it is not a video, or one cut short before its index "
            f"({_reason(error)}). Check that it plays, and fetch or encode it again if not."
        ) from error
    with container:
        stream = _video_stream(name, container)
        stream.thread_type = "AUTO"
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
            yield from frames
            if packet is None:
                return


def _video_stream(name: str, container: av.container.InputContainer) -> av.VideoStream:
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


def _upright_rgb(frame: av.VideoFrame, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    pixels = frame.to_ndarray(format="rgb24", height=height, width=width)
    # Both count counter-clockwise. Tags other than quarter turns do not occur in practice.
    return np.rot90(pixels, round(frame.rotation / 90))


def _check_indices(indices: Any, num_frames: int) -> np.ndarray:
    array = np.asarray(indices)
    if array.size == 0 or array.dtype.kind not in "iu":
        raise ValueError(
            "`choose_indices` must return at least one integer, the index of a frame. "
            f"Received: {indices!r}"
        )
    if array.min() < 0 or array.max() >= num_frames:
        raise ValueError(
            f"`choose_indices` must return indices from 0 to {num_frames - 1} for a video of "
            f"{num_frames} frames. Received indices from {array.min()} to {array.max()}."
        )
    return array.ravel()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
