"""Clips on one page that any browser shows, or on sheets, a picture each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_tdn.data.browsing import BrowsedClip
from keras_tdn.pages.pictures import Paper, encode, picture, resized
from keras_tdn.pages.rendering import render

FRAME_WIDTH = 168
CROP_WIDTH = 112
# Of pictures much taller than wide; there are videos of four pixels by thousands.
MAX_HEIGHT = 4 * FRAME_WIDTH
GAP = 4
# No difference is grey.
GREY = 128
BOX_COLOR = (255, 176, 0)
BOX_WIDTH = 2


def write_page(
    clips: Sequence[BrowsedClip],
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    title: str = "Clips",
) -> None:
    """Writes one HTML file that needs no other.

    Args:
        clips: From `browse_clips`.
        path: Path of the file.
        labels: Class names in the order of the labels.
        title: Heading of the page.

    Example:

    >>> write_page(browse_clips(records, ClipSpec()), "page.html", records.labels)
    """
    shown = [
        {
            "clip": clip,
            "heading": _heading(clip, labels),
            "overview": picture(overview(clip), "centre frame of each segment"),
            "segments": [
                (
                    picture(segment(clip, number), f"segment {number + 1}"),
                    _frame_range(indices),
                )
                for number, indices in enumerate(clip.indices)
            ],
        }
        if not clip.reason
        else {"clip": clip, "heading": _heading(clip, labels)}
        for clip in clips
    ]
    page = render("clips.html", title=title, clips=shown)
    Path(path).write_text(page, encoding="utf-8")


def write_sheets(clips: Sequence[BrowsedClip], folder: str | os.PathLike[str]) -> list[str]:
    """Writes a PNG file for each clip, with what `write_page` shows of it.

    Args:
        clips: From `browse_clips`; those that cannot be read are left out.
        folder: Where the files go; it is made if need be.

    Returns:
        Paths of the files, named for the records' indices.

    Example:

    >>> write_sheets(browse_clips(records, ClipSpec()), "sheets")
    ['sheets/000000.png', 'sheets/000021.png']
    """
    os.makedirs(folder, exist_ok=True)
    paths = []
    for clip in clips:
        if clip.reason:
            continue
        path = os.path.join(folder, f"{clip.record.index:06d}.png")
        Path(path).write_bytes(encode(sheet(clip), "png"))
        paths.append(path)
    return paths


def overview(clip: BrowsedClip) -> np.ndarray:
    """Returns the centre frame of each segment with the crop drawn in; uint8 `(rows, columns, 3)`.

    Args:
        clip: One that could be read.
    """
    num_segments, frames_per_segment = clip.indices.shape
    by_segment = clip.frames.reshape(num_segments, frames_per_segment, *clip.frames.shape[1:])
    frames = by_segment[:, frames_per_segment // 2]
    pictures = _scaled(frames, FRAME_WIDTH)
    if clip.box is not None:
        down, across = (pictures.shape[axis] / frames.shape[axis] for axis in (1, 2))
        top, left, height, width = clip.box
        _draw_box(pictures, top * down, left * across, height * down, width * across)
    return side_by_side(list(pictures))


def segment(clip: BrowsedClip, number: int) -> np.ndarray:
    """Returns one segment's crops; below, between each two of them, how they differ.

    Grey is no difference; brighter and darker are what is added and what is taken away.

    Args:
        clip: One that could be read.
        number: Number of the segment, from 0.
    """
    frames_per_segment = clip.indices.shape[1]
    start = number * frames_per_segment
    frames = clip.clip[start : start + frames_per_segment]
    differences = np.diff(frames.astype(np.int16), axis=0)
    shown = np.clip(GREY + differences, 0, 255).astype(np.uint8)
    rows = [side_by_side(list(_scaled(frames, CROP_WIDTH)))]
    if len(shown):
        rows.append(side_by_side(list(_scaled(shown, CROP_WIDTH))))
    return stacked(rows, GAP, centred=True)


def sheet(clip: BrowsedClip) -> np.ndarray:
    """Returns the overview above all segments, two in a row.

    Args:
        clip: One that could be read.
    """
    segments = [segment(clip, number) for number in range(len(clip.indices))]
    pairs = [segments[place : place + 2] for place in range(0, len(segments), 2)]
    return stacked([overview(clip), *(side_by_side(pair, 4 * GAP) for pair in pairs)], 4 * GAP)


def side_by_side(pictures: Sequence[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Returns pictures of one size in a row; uint8 `(rows, columns, 3)`."""
    height, width, _ = pictures[0].shape
    paper = Paper(height, len(pictures) * (width + gap) - gap)
    for number, each in enumerate(pictures):
        paper.picture(each, 0, number * (width + gap))
    return paper.pixels


def stacked(rows: Sequence[np.ndarray], gap: int, centred: bool = False) -> np.ndarray:
    """Returns pictures one below the other; uint8 `(rows, columns, 3)`."""
    width = max(row.shape[1] for row in rows)
    paper = Paper(sum(row.shape[0] + gap for row in rows) - gap, width)
    top = 0
    for row in rows:
        paper.picture(row, top, (width - row.shape[1]) // 2 if centred else 0)
        top += row.shape[0] + gap
    return paper.pixels


def _scaled(pictures: np.ndarray, width: int) -> np.ndarray:
    scale = min(width / pictures.shape[2], MAX_HEIGHT / pictures.shape[1])
    size = [max(1, round(side * scale)) for side in pictures.shape[1:3]]
    return np.stack([resized(each, *size) for each in pictures])


def _draw_box(pictures: np.ndarray, top: float, left: float, height: float, width: float) -> None:
    """Two pixels wide, or as wide as there is room."""
    rows, columns = pictures.shape[1:3]
    upper, lower = (min(max(round(row), 0), rows) for row in (top, top + height))
    first, last = (min(max(round(column), 0), columns) for column in (left, left + width))
    outline = np.zeros((rows, columns), bool)
    outline[upper:lower, first:last] = True
    outline[
        upper + BOX_WIDTH : max(lower - BOX_WIDTH, upper + BOX_WIDTH),
        first + BOX_WIDTH : max(last - BOX_WIDTH, first + BOX_WIDTH),
    ] = False
    pictures[:, outline] = BOX_COLOR


def _heading(clip: BrowsedClip, labels: Sequence[str] | None) -> str:
    names = [
        f"class {label}" if labels is None or label is None else f"{labels[label]} ({label})"
        for label in (clip.record.label, clip.label)
    ]
    return names[0] if clip.label == clip.record.label else ", becomes ".join(names)


def _frame_range(indices: np.ndarray) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1:
        return f"{first}\u2013{last}"
    return ", ".join(str(int(index)) for index in indices)
