"""The interface of decoders: sources of videos, indices of frames, sizes."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import numpy as np

from keras_tdn.limits import check_bytes
from keras_tdn.specs import is_positive_int

VideoSource = str | os.PathLike[str] | bytes | BinaryIO
ChooseIndices = Callable[[int], Any]
FrameSize = int | tuple[int, int] | None

# The end of an error's message.
NO_FRAMES = (
    "not one of its frames decodes. The file is damaged or incomplete; fetch or encode it again."
)


class VideoDecodeError(ValueError):
    """The source is not a video that frames can be read from; the message says why, in one line."""


class Decoder(Protocol):
    """Reads chosen frames of videos, as `keras_tdn.data.decoding.read_frames` documents it."""

    def read_frames(
        self, source: VideoSource, choose_indices: ChooseIndices, size: FrameSize = None
    ) -> np.ndarray:
        """Returns the pixels of the frames that `choose_indices(num_frames)` names."""
        ...


def open_source(source: VideoSource) -> tuple[str, str | BinaryIO]:
    """Returns how errors call the source, and its path or a seekable file object."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        if len(source) == 0:
            raise VideoDecodeError(
                "Cannot read the video: it is 0 bytes long. Pass the whole content of a video file."
            )
        return f"the video of {len(source)} bytes", io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        if problem := _problem(path):
            raise VideoDecodeError(f"Cannot read {path!r}: {problem}")
        return repr(path), path
    if callable(getattr(source, "read", None)):
        seekable = getattr(source, "seekable", None)
        if callable(seekable) and seekable():
            return f"the video in {source!r}", source
        return open_source(source.read())
    raise ValueError(
        "A video is the path of a file, its content as bytes, or a binary file object. "
        f"Received: {type(source).__name__}"
    )


def _problem(path: str) -> str:
    """Returns why a path cannot be read, and what to do; empty if it can."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return f"there is no such file. Check the path; a relative one starts at {os.getcwd()!r}."
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        return "it is a directory. Pass the path of one video file."
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        return (
            f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, which may never end. Pass the path "
            "of a video file; `keras-tdn watch` reads pipes and cameras."
        )
    if not os.access(path, os.R_OK):
        return "no permission. Make the file readable for this user."
    return "" if found.st_size else "the file is empty. Fetch or encode it again."


def resized_size(size: FrameSize, height: int, width: int) -> tuple[int, int]:
    """Returns height and width that an upright frame of `height` by `width` is resized to."""
    if size is None:
        return height, width
    if is_positive_int(size):
        # The long side is rounded down, as at test time.
        if height <= width:
            return size, max(1, size * width // height)
        return max(1, size * height // width), size
    if isinstance(size, tuple | list) and len(size) == 2 and all(map(is_positive_int, size)):
        return size[0], size[1]
    raise ValueError(
        "`size` is (height, width) in pixels, or one positive integer for the short side. "
        f"Received: size={size!r}"
    )


def resize_pixels(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes uint8 frames, or one, that are pixels already; bilinear with antialiasing."""
    if frames.shape[-3:-1] == size:
        return np.ascontiguousarray(frames)
    import tensorflow as tf

    resized = tf.image.resize(frames, size, method="bilinear", antialias=True).numpy()
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


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
    """Raises a `VideoDecodeError` if frames take more than `max_bytes`, or than a clip may."""
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
