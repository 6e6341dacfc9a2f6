"""What a decoder is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import numpy as np

VideoSource = str | os.PathLike[str] | bytes | BinaryIO

FrameSize = int | tuple[int, int] | None

DECODERS = ("pyav", "tfio")


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
        """Pixels of the frames that `choose_indices(num_frames)` names."""
        ...


def get_decoder(name: str = "pyav", num_threads: int | None = None) -> Decoder:
    """The decoder of that name.

    Use `"pyav"` unless there is a reason not to: it decodes only what is needed and reads every
    format that FFmpeg knows. `"tfio"` is tensorflow-io's, for installations that have it already;
    it decodes whole videos, and needs the pins of the extra `keras-tdn[tfio]`.

    Args:
        name: `"pyav"` or `"tfio"`.
        num_threads: Threads for one video, where the decoder lets one choose. `None` takes as many
            as there are processors, which is best for one video at a time; take 1 where many
            videos are decoded side by side, because splitting one over threads costs time in sum.

    Returns:
        An object with the method `read_frames(source, choose_indices, size=None)`.

    Raises:
        ValueError: if there is no such decoder, or `num_threads` is not a positive integer.
        ImportError: if the decoder is not installed.

    Example:

    >>> decoder = get_decoder("pyav", num_threads=1)
    """
    if num_threads is not None and not _is_positive_int(num_threads):
        raise ValueError(
            f"`num_threads` must be a positive integer or None. Received: {num_threads!r}"
        )
    if name == "pyav":
        from keras_tdn.data.decoding.pyav_decoder import PyAVDecoder

        return PyAVDecoder(num_threads)
    if name == "tfio":
        from keras_tdn.data.decoding.tfio_decoder import TFIODecoder

        return TFIODecoder()
    raise ValueError(f"A decoder's name is one of {', '.join(DECODERS)}. Received: {name!r}")


def resized_size(size: FrameSize, height: int, width: int) -> tuple[int, int]:
    """Height and width that an upright frame of `height` by `width` is resized to."""
    if size is None:
        return height, width
    if _is_positive_int(size):
        short: int = size  # type: ignore[assignment]
        # The long side is rounded down, as at test time.
        if height <= width:
            return short, max(1, short * width // height)
        return max(1, short * height // width), short
    if isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_positive_int, size)):
        return size[0], size[1]
    raise ValueError(
        "`size` is (height, width) in pixels, or one positive integer for the short side. "
        f"Received: size={size!r}"
    )


def check_indices(indices: Any, num_frames: int) -> np.ndarray:
    """The flattened indices, if they are indices of frames."""
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


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
