"""Pictures of clips: frames side by side, their differences, and where crops lie."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_tdn.data.browsing import BrowsedClip

FRAME_WIDTH = 168
CROP_WIDTH = 112
# Of pictures much taller than wide; there are videos of four pixels by thousands.
MAX_HEIGHT = 4 * FRAME_WIDTH
GAP = 4
BACKGROUND = 255
# No difference is grey.
GREY = 128
BOX_COLOR = (255, 176, 0)


def overview(clip: BrowsedClip) -> np.ndarray:
    """The whole centre frame of each segment with the crop drawn in; uint8 `(height, width, 3)`."""
    num_segments, frames_per_segment = clip.indices.shape
    by_segment = clip.frames.reshape(num_segments, frames_per_segment, *clip.frames.shape[1:])
    frames = by_segment[:, frames_per_segment // 2]
    pictures = _resize(frames, FRAME_WIDTH)
    if clip.box is not None:
        down, across = (pictures.shape[axis] / frames.shape[axis] for axis in (1, 2))
        top, left, height, width = clip.box
        _draw_box(pictures, top * down, left * across, height * down, width * across)
    return side_by_side(pictures)


def segment(clip: BrowsedClip, number: int) -> np.ndarray:
    """One segment's crops; below, between each two of them, how they differ.

    Grey is no difference; brighter and darker are what is added and what is taken away.
    """
    frames_per_segment = clip.indices.shape[1]
    start = number * frames_per_segment
    frames = clip.clip[start : start + frames_per_segment]
    differences = np.diff(frames.astype(np.int16), axis=0)
    shown = np.clip(GREY + differences, 0, 255).astype(np.uint8)
    top = side_by_side(_resize(frames, CROP_WIDTH))
    if not len(shown):
        return top
    below = side_by_side(_resize(shown, CROP_WIDTH))
    rows = np.full((top.shape[0] + GAP + below.shape[0], top.shape[1], 3), BACKGROUND, np.uint8)
    rows[: top.shape[0]] = top
    left = (top.shape[1] - below.shape[1]) // 2
    rows[top.shape[0] + GAP :, left : left + below.shape[1]] = below
    return rows


def sheet(clip: BrowsedClip) -> np.ndarray:
    """The overview above all segments, two in a row."""
    num_segments = len(clip.indices)
    segments = [segment(clip, number) for number in range(num_segments)]
    if num_segments % 2:
        segments.append(np.full_like(segments[0], BACKGROUND))
    pairs = zip(segments[::2], segments[1::2], strict=True)
    rows = [overview(clip), *(side_by_side(np.stack(pair), 4 * GAP) for pair in pairs)]
    width = max(row.shape[1] for row in rows)
    height = sum(row.shape[0] + 4 * GAP for row in rows)
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    top = 0
    for row in rows:
        picture[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + 4 * GAP
    return picture


def side_by_side(pictures: np.ndarray, gap: int = GAP) -> np.ndarray:
    """Pictures of one size in a row; uint8 `(height, width, 3)`."""
    count, height, width, _ = pictures.shape
    row = np.full((height, count * (width + gap) - gap, 3), BACKGROUND, np.uint8)
    for number, picture in enumerate(pictures):
        left = number * (width + gap)
        row[:, left : left + width] = picture
    return row


def _resize(pictures: np.ndarray, width: int) -> np.ndarray:
    scale = min(width / pictures.shape[2], MAX_HEIGHT / pictures.shape[1])
    size = [max(1, round(side * scale)) for side in pictures.shape[1:3]]
    resized = tf.image.resize(pictures, size, antialias=True)
    return np.clip(np.rint(resized.numpy()), 0, 255).astype(np.uint8)


def _draw_box(pictures: np.ndarray, top: float, left: float, height: float, width: float) -> None:
    """Two pixels wide, or as wide as there is room."""
    rows, columns = pictures.shape[1:3]
    upper, lower = (min(max(round(row), 0), rows) for row in (top, top + height))
    first, last = (min(max(round(column), 0), columns) for column in (left, left + width))
    inside = np.s_[upper + 2 : max(lower - 2, upper + 2), first + 2 : max(last - 2, first + 2)]
    outline = np.zeros((rows, columns), bool)
    outline[upper:lower, first:last] = True
    outline[inside] = False
    pictures[:, outline] = BOX_COLOR
