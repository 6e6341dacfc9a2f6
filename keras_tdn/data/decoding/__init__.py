"""Frames of video files: one interface, and the decoders behind it.

Nothing outside this package knows a decoder; each is imported when it is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.data.decoding.interface import (
    ChooseIndices,
    Decoder,
    FrameSize,
    VideoDecodeError,
    VideoSource,
)
from keras_tdn.specs import is_positive_int

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "Decoder",
    "FrameSize",
    "VideoDecodeError",
    "VideoSource",
    "get_decoder",
    "read_frames",
    "read_frames_in_graph",
]


def get_decoder(
    name: str = "pyav", num_threads: int | None = None, max_bytes: int | None = None
) -> Decoder:
    """Returns the decoder of that name.

    Use `"pyav"` unless there is a reason not to: it decodes only what is needed and reads every
    format that FFmpeg knows. `"tfio"` is tensorflow-io's, for installations that have it already;
    it decodes whole videos, and needs the pins of the extra `keras-tdn[tfio]`.

    Args:
        name: `"pyav"` or `"tfio"`.
        num_threads: Threads for one video, where the decoder lets one choose. `None` takes as many
            as there are processors, which is best for one video at a time. Take 1 where many
            videos are decoded side by side, because splitting one over threads costs time in sum.
        max_bytes: The most that the frames of one call may take. `None` takes the limit of a clip,
            1 GiB unless `KERAS_TDN_MAX_CLIP_GIB` says otherwise.

    Returns:
        A `Decoder`.

    Raises:
        ValueError: if there is no such decoder, or a number is not a positive integer.
        ImportError: if the decoder is not installed.

    Example:

    >>> decoder = get_decoder("pyav", num_threads=1)
    """
    for argument, value in (("num_threads", num_threads), ("max_bytes", max_bytes)):
        if value is not None and not is_positive_int(value):
            raise ValueError(
                f"`{argument}` must be a positive integer or None. Received: {value!r}"
            )
    if name == "pyav":
        from keras_tdn.data.decoding.pyav_decoder import PyAVDecoder

        return PyAVDecoder(num_threads, max_bytes)
    if name == "tfio":
        from keras_tdn.data.decoding.tfio_decoder import TFIODecoder

        return TFIODecoder(max_bytes)
    raise ValueError(f"A decoder's name is one of pyav, tfio. Received: {name!r}")


def read_frames(
    source: VideoSource, choose_indices: ChooseIndices, size: FrameSize = None
) -> np.ndarray:
    """Reads chosen frames of a video with the default decoder, PyAV.

    Frames count from 0 in the order in which they are shown, and every frame that decodes counts:
    headers are not trusted, because many containers have a wrong frame count or none. A damaged or
    truncated file gives the frames that do decode.

    The first video stream is read that is not a cover picture. Frames are turned upright as their
    rotation tag says. Transparency is dropped, and frames whose size changes along the way are
    scaled to the size of the first.

    Args:
        source: Path of a video file, its content as bytes, or a binary file object.
        choose_indices: Called with the number of frames; returns the zero-based indices of the
            frames wanted, in any shape, order and number. It is called a second time, with the
            number found by decoding every frame, if damage shows up only while decoding.
        size: What upright frames are resized to, in pixels: `(height, width)`, or one number for
            the short side. `None` keeps their size.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(number of indices, height, width, 3)`,
        in the order of the flattened indices.

    Raises:
        VideoDecodeError: if the source is missing, empty, not a video or without a frame that
            decodes.
        ValueError: if `choose_indices` returns no indices of frames, or `size` is not one.

    Example:

    >>> first_and_last = read_frames("video.mp4", lambda num_frames: [0, num_frames - 1])
    """
    return get_decoder("pyav").read_frames(source, choose_indices, size)


def read_frames_in_graph(
    path: tf.Tensor,
    choose_indices: Callable[..., Any],
    *arguments: Any,
    decoder: Decoder | None = None,
    size: FrameSize = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads chosen frames of a video inside `Dataset.map`; never raises there.

    Use it in pipelines over many videos, some of which may be damaged: drop elements whose reason
    is not empty, and count them. Parallel calls decode side by side, one thread each.

    One call takes at most 64 MiB for packets, or 128 MiB for decoded frames of formats that are
    decoded whole, and the clip itself, which may take 1 GiB (`keras_tdn.limits`): larger ones have
    a reason. The graph calls into this Python process, so a `tf.data` service cannot run it; packed
    records can be served.

    Args:
        path: Scalar string tensor, the path of a video file.
        choose_indices: Called outside the graph with the number of frames and the `arguments` as
            NumPy arrays; returns zero-based indices of frames.
        *arguments: Tensors, such as a seed.
        decoder: What reads the video; `None` for PyAV with one thread.
        size: What upright frames are resized to; see `read_frames`.

    Returns:
        Frames, uint8, of shape `(number of indices, height, width, 3)`, and the reason why there
        are none, a scalar string: empty if all is well, else the frames have shape `(0, 0, 0, 3)`.

    Example:

    >>> def read(path, seed):
    ...     return read_frames_in_graph(path, lambda num_frames, seed: [0, num_frames - 1], seed)
    >>> dataset = tf.data.Dataset.from_tensor_slices((["video.mp4"], [7])).map(read)
    """
    import tensorflow as tf

    reader = get_decoder("pyav", num_threads=1) if decoder is None else decoder

    def read(path: Any, *values: np.ndarray) -> tuple[np.ndarray, bytes]:
        try:
            # Bytes inside a graph, an array of them outside.
            name = os.fsdecode(np.asarray(path).item())
            return reader.read_frames(
                name, lambda num_frames: choose_indices(num_frames, *values), size
            ), b""
        except Exception as error:
            # An exception would end the epoch, whatever it is; the reason says what it was.
            kind = "" if isinstance(error, VideoDecodeError) else f"{type(error).__name__}: "
            return np.empty((0, 0, 0, 3), np.uint8), f"{kind}{error}".encode()

    types = [tf.uint8, tf.string]
    frames, reason = tf.numpy_function(read, [path, *arguments], types, stateful=False)
    frames.set_shape([None, None, None, 3])
    reason.set_shape([])
    return frames, reason
