"""The interface of decoders: sources of videos, indices of frames, sizes."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import numpy as np

from keras_tdn.limits import check_bytes

VideoSource = str | os.PathLike[str] | bytes | BinaryIO

FrameSize = int | tuple[int, int] | None


class VideoDecodeError(ValueError):
    """The source is not a video that frames can be read from; the message says why, in one line."""


class Decoder(Protocol):
    """Reads chosen frames of videos.

    `keras_tdn.data.decoding.read_frames` documents the arguments and what every decoder keeps to:
    frames in the order shown, all that decode and no others, upright, red green blue.
    """

    def read_frames(
        self,
        source: VideoSource,
        choose_indices: Callable[[int], Any],
        size: FrameSize = None,
    ) -> np.ndarray:
        """Returns the pixels of the frames that `choose_indices(num_frames)` names."""
        ...


def open_source(source: VideoSource) -> tuple[str, str | BinaryIO]:
    """Returns how errors call the source, and its path or a seekable file object.

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


def resized_size(size: FrameSize, height: int, width: int) -> tuple[int, int]:
    """Returns height and width that an upright frame of `height` by `width` is resized to."""
    if size is None:
        return height, width
    if is_positive_int(size):
        short: int = size  # type: ignore[assignment]
        # The long side is rounded down, as at test time.
        if height <= width:
            return short, max(1, short * width // height)
        return max(1, short * height // width), short
    if isinstance(size, tuple | list) and len(size) == 2 and all(map(is_positive_int, size)):
        return size[0], size[1]
    raise ValueError(
        "`size` is (height, width) in pixels, or one positive integer for the short side. "
        f"Received: size={size!r}"
    )


def check_indices(indices: Any, num_frames: int) -> np.ndarray:
    """Returns the flattened indices after checking that they are indices of frames."""
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


def check_clip_bytes(name: str, num_bytes: int, what: str, max_bytes: int | None) -> None:
    """Refuses frames that would take too much memory.

    Args:
        name: How errors call the video.
        num_bytes: Bytes that they would take.
        what: What would take them.
        max_bytes: The most that they may take; `None` for what `keras_tdn.limits` allows.

    Raises:
        VideoDecodeError: if it is more.
    """
    try:
        if max_bytes is None:
            check_bytes(num_bytes, "clip", what)
        elif num_bytes > max_bytes:
            raise ValueError(
                f"{what} would take {num_bytes} bytes, more than the {max_bytes} that `max_bytes` "
                "of the decoder allows."
            )
    except ValueError as error:
        raise VideoDecodeError(f"Cannot read {name}: {error}") from error


def is_positive_int(value: Any) -> bool:
    """Whether `value` is an integer above 0, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _kind(path: str) -> str:
    mode = os.stat(path).st_mode
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
