"""A video as the encoded frames that a server takes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_tdn.data.frame_transforms import _resized_size, check_frames, resize_and_center_crop
from keras_tdn.limits import check_bytes
from keras_tdn.scoring.center_clip import read_center_clip
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource

# zlib's fastest: frames are a seventh larger than at its default, in a quarter of the time.
PNG_COMPRESSION = 1
# Of the smallest frame: its file and the places that it takes in lists.
FRAME_BYTES = 1024


def encode_clip(
    source: VideoSource | np.ndarray, clip_spec: ClipSpec, quality: int | None = None
) -> list[bytes]:
    """The frames of one clip as PNG or JPEG files, chosen as `predict_video` chooses them.

    Frames whose short side is longer than the specification's are resized to it, because the server
    would do so; the crop is left to the server.

    The default stores frames without loss, so that a server answers as `predict_video` does here:
    TDN sees differences of neighbouring frames, and JPEG's noise is in all of them. It costs two to
    three times the bytes of JPEG at quality 95, about as many as raw clips. Pass a `quality` where
    the connection is slow and scores may be off by some hundredths.

    Args:
        source: The video: a path, the content of a file as bytes, a binary file object, or all its
            frames as a uint8 array of shape `(num_frames, height, width, 3)`.
        clip_spec: How the model's clips are cut; `ServingClient.clip_spec` asks the server.
        quality: `None` for PNG files; 1 to 100 for JPEG files of that quality, with colours at full
            resolution.

    Returns:
        One file for each frame of the clip.

    Raises:
        ValueError: if the video cannot be read (a `VideoDecodeError`) or an argument does not fit.

    Example:

    >>> frames = encode_clip("video.mp4", keras_tdn.ClipSpec(num_segments=8))
    >>> len(frames)
    40
    """
    import tensorflow as tf

    is_number = isinstance(quality, int) and not isinstance(quality, bool)
    if quality is not None and not (is_number and 1 <= quality <= 100):
        raise ValueError(
            "`quality` is an integer from 1 to 100 for JPEG files, or None for PNG files. "
            f"Received: quality={quality!r}"
        )
    check_clip_size(clip_spec)
    if isinstance(source, np.ndarray):
        check_frames(source)
        # Frames of a file are checked where it is decoded.
        _check_frames_size(clip_spec.num_frames, *source.shape[1:3])
    frames = read_center_clip(source, clip_spec, crop=False).pixels
    pictures: dict[bytes, bytes] = {}
    files = []
    for frame in _shrink(frames, clip_spec):
        # Short videos repeat frames.
        key = frame.tobytes()
        if key not in pictures:
            if quality is None:
                encoded = tf.io.encode_png(frame, PNG_COMPRESSION)
            else:
                encoded = tf.io.encode_jpeg(frame, quality=quality, chroma_downsampling=False)
            pictures[key] = encoded.numpy()
        files.append(pictures[key])
    return files


def check_clip_size(spec: ClipSpec) -> None:
    """Refuses clips that would take more memory than one may, such as a server could ask for.

    Raises:
        ValueError: with what it would take and how to allow it.
    """
    _check_frames_size(spec.num_frames, spec.height, spec.width)


def _check_frames_size(num_frames: int, height: int, width: int) -> None:
    # A server may have sent numbers of thousands of digits.
    what = f"A clip of {num_frames} frames of {height}x{width} pixels"[:200]
    check_bytes(num_frames * max(FRAME_BYTES, height * width * 3), "clip", what)


def _shrink(frames: np.ndarray, spec: ClipSpec) -> np.ndarray:
    height, width = frames.shape[1:3]
    size = _resized_size(height, width, spec)
    # What the server enlarges is smaller as it is.
    if min(height, width) <= spec.short_side or min(size) != spec.short_side:
        return frames
    # A crop that keeps everything.
    whole = dataclasses.replace(spec, height=size[0], width=size[1])
    return resize_and_center_crop(frames, whole)
