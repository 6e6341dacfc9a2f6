"""From frames of any size to the pixels a model sees."""

from __future__ import annotations

import keras
import numpy as np

from keras_tdn.specs import ClipSpec

# Frames are resized a few at a time: as float32 they take four times what they take as uint8.
CHUNK_BYTES = 64 * 2**20

# Of frames more elongated than this many crops, the far ends are dropped before the resize.
MAX_CROPS_ALONG = 8


def resize_and_center_crop(frames: np.ndarray, clip_spec: ClipSpec) -> np.ndarray:
    """Resizes the short side of frames, then cuts out the centre: the test view of the paper.

    Frames are uint8 of shape `(num_frames, height, width, 3)`, before and after. The resize is
    bilinear with antialiasing, as in the image library that the published models were tested with:
    pixels differ from it by less than half a level on average. Where the resized frame is smaller
    than the crop, as with an upright video and a wide crop, it is enlarged until it covers it.
    """
    check_frames(frames)
    frames = _drop_far_ends(frames, clip_spec)
    height, width = _resized_size(frames.shape[1], frames.shape[2], clip_spec)
    top = _center_offset(height, clip_spec.height)
    left = _center_offset(width, clip_spec.width)
    window = np.s_[:, top : top + clip_spec.height, left : left + clip_spec.width]
    if (height, width) == frames.shape[1:3]:
        return frames[window].copy()

    frame_bytes = 4 * 3 * max(height * width, frames.shape[1] * frames.shape[2])
    chunk = max(1, CHUNK_BYTES // frame_bytes)
    crops = np.empty((len(frames), clip_spec.height, clip_spec.width, 3), np.uint8)
    for start in range(0, len(frames), chunk):
        resized = keras.ops.image.resize(
            frames[start : start + chunk].astype(np.float32),
            (height, width),
            interpolation="bilinear",
            antialias=True,
            data_format="channels_last",
        )
        pixels = keras.ops.convert_to_numpy(resized)[window]
        crops[start : start + chunk] = np.clip(np.rint(pixels), 0, 255)
    return crops


def check_frames(frames: np.ndarray) -> None:
    """Raises a `ValueError` unless `frames` are pixels of at least one frame."""
    if not isinstance(frames, np.ndarray):
        received = type(frames).__name__
    elif frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        received = f"shape={frames.shape}"
    elif frames.dtype != np.uint8:
        received = f"dtype={frames.dtype}"
    else:
        return
    raise ValueError(
        "Frames are a NumPy array of uint8 pixels in [0, 255], at least one frame of shape "
        "(num_frames, height, width, 3), with red, green, blue on the last axis; convert others "
        "first, for example with `np.clip(np.rint(frames), 0, 255).astype('uint8')`. "
        f"Received: {received}"
    )


def _resized_size(height: int, width: int, clip_spec: ClipSpec) -> tuple[int, int]:
    """Returns height and width after the resize, the long side rounded down as in the reference."""
    short_side, shortest = clip_spec.short_side, min(height, width)
    resized = short_side * height // shortest, short_side * width // shortest
    if resized[0] >= clip_spec.height and resized[1] >= clip_spec.width:
        return resized
    scale = max(clip_spec.height / height, clip_spec.width / width)
    return max(clip_spec.height, int(height * scale)), max(clip_spec.width, int(width * scale))


def _drop_far_ends(frames: np.ndarray, clip_spec: ClipSpec) -> np.ndarray:
    """Bounds the memory that a frame of a few by thousands of pixels would take once enlarged."""
    height, width = frames.shape[1:3]
    resized = _resized_size(height, width, clip_spec)
    limit = MAX_CROPS_ALONG * max(clip_spec.height, clip_spec.width, clip_spec.short_side)
    if max(resized) <= limit:
        return frames
    kept = max(1, max(height, width) * limit // max(resized))
    start = (max(height, width) - kept) // 2
    if height > width:
        return frames[:, start : start + kept]
    return frames[:, :, start : start + kept]


def _center_offset(size: int, crop: int) -> int:
    # Halves go to the even neighbour, as Python's round and the reference do.
    return round((size - crop) / 2)
