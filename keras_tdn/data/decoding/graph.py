"""Decoding inside a `tf.data` pipeline, where one bad file must not end an epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.data.decoding.interface import Decoder, FrameSize, VideoDecodeError, get_decoder

if TYPE_CHECKING:
    import tensorflow as tf


def read_frames_in_graph(
    path: tf.Tensor,
    choose_indices: Callable[..., Any],
    *arguments: Any,
    decoder: Decoder | None = None,
    size: FrameSize = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads chosen frames of a video inside `Dataset.map`; never raises there.

    Use it in pipelines over many videos, some of which may be damaged: drop elements whose reason
    is not empty, and count them. Each call opens the file, decodes and closes it; nothing is kept
    between calls, and videos in parallel calls are decoded side by side, one thread each.

    One call takes at most 64 MiB for packets, or 128 MiB for decoded frames of formats that are
    decoded whole, and the clip itself, which may take 1 GiB (`keras_tdn.limits`): larger ones are
    refused with a reason.

    The graph calls into this Python process, so such a pipeline cannot be sent to another one, as a
    `tf.data` service would; packed records can.

    Args:
        path: Scalar string tensor, the path of a video file.
        choose_indices: Called with the number of frames and the `arguments` as NumPy arrays;
            returns zero-based indices of frames. It runs outside the graph.
        *arguments: Tensors, such as a seed.
        decoder: What reads the video; `None` for PyAV with one thread.
        size: What upright frames are resized to; see `read_frames`.

    Returns:
        Frames, uint8, of shape `(number of indices, height, width, 3)`, and the reason why there
        are none, a scalar string: empty if all is well. With a reason, the frames have the shape
        `(0, 0, 0, 3)`.

    Example:

    >>> def read(path, seed):
    ...     return read_frames_in_graph(path, lambda num_frames, seed: [0, num_frames - 1], seed)
    >>> dataset = tf.data.Dataset.from_tensor_slices((["video.mp4"], [7])).map(read)
    """
    import tensorflow as tf

    reader = get_decoder("pyav", num_threads=1) if decoder is None else decoder

    def read(path: Any, *values: np.ndarray) -> tuple[np.ndarray, bytes]:
        try:
            frames = reader.read_frames(
                _text(path), lambda num_frames: choose_indices(num_frames, *values), size
            )
        except VideoDecodeError as error:
            return _no_frames(), str(error).encode()
        except Exception as error:
            # An exception would end the epoch, whatever it is; the reason says what it was.
            return _no_frames(), f"{type(error).__name__}: {error}".encode()
        return frames, b""

    frames, reason = tf.numpy_function(
        read, [path, *arguments], [tf.uint8, tf.string], stateful=False
    )
    frames.set_shape([None, None, None, 3])
    reason.set_shape([])
    return frames, reason


def _text(path: Any) -> str:
    # Bytes inside a graph, an array of them outside.
    return os.fsdecode(np.asarray(path).item())


def _no_frames() -> np.ndarray:
    return np.empty((0, 0, 0, 3), np.uint8)
