"""An explanation as one picture: segments from left to right, what is seen from top to bottom."""

from __future__ import annotations

import numpy as np

from keras_tdn.evaluation.explaining.canvas import LARGE, MUTED, Canvas, line_height
from keras_tdn.evaluation.explaining.colors import enlarged
from keras_tdn.evaluation.explaining.explain import Explanation
from keras_tdn.evaluation.explaining.font import wrapped
from keras_tdn.evaluation.explaining.rows import captions, strip_rows

# Frames are enlarged by whole factors until captions have room, and shrunk if they are larger.
MIN_CELL, MAX_CELL = 112, 224
NAMES_WIDTH = 210
GAP, MARGIN = 4, 16


def draw_strip(explanation: Explanation) -> np.ndarray:
    """Draws it.

    Args:
        explanation: What to draw.

    Returns:
        uint8 of shape `(height, width, 3)`.
    """
    rows = strip_rows(explanation)
    cell_height, cell_width = cell_size(explanation)
    segments = len(explanation.frames)
    # Names and legends need room where frames are low.
    row_height = max(cell_height, 3 * line_height() + 60) + GAP
    top = MARGIN + line_height(LARGE) + 2 * line_height() + GAP
    footer = [f"The model has {text}." for text in explanation.missing]
    canvas = Canvas(
        top + len(rows) * row_height + len(footer) * line_height() + MARGIN,
        2 * MARGIN + NAMES_WIDTH + segments * (cell_width + GAP),
    )
    room = canvas.pixels.shape[1] - 2 * MARGIN
    canvas.text(title(explanation), MARGIN, MARGIN, room, scale=LARGE)
    canvas.text(subtitle(explanation), MARGIN + line_height(LARGE), MARGIN, room, MUTED)
    left = MARGIN + NAMES_WIDTH
    canvas.text("frames", top - line_height(), MARGIN, NAMES_WIDTH, MUTED)
    for number, caption in enumerate(captions(explanation)):
        place = left + number * (cell_width + GAP)
        canvas.text(caption, top - line_height(), place, cell_width, MUTED, align="center")
    for row in rows:
        line = top
        for text in wrapped(row.name, NAMES_WIDTH - 14)[:3]:
            canvas.text(text, line, MARGIN, NAMES_WIDTH - 14)
            line += line_height()
        if row.scale is not None:
            canvas.legend(row.scale, line + 4, MARGIN, NAMES_WIDTH - 24)
        for number, picture in enumerate(resized(row.pictures, cell_height, cell_width)):
            canvas.picture(picture, top, left + number * (cell_width + GAP))
        top += row_height
    for text in footer:
        canvas.text(text, top, MARGIN, room, MUTED)
        top += line_height()
    return canvas.pixels


def title(explanation: Explanation) -> str:
    """What is predicted, and what is explained if that is something else."""
    first, target = explanation.predictions[0], explanation.target
    text = f"predicted: {first.label} ({100 * first.score:.1f} %)"
    if target.index != first.index:
        text += f", explained: {target.label} ({100 * target.score:.1f} %)"
    return text


def subtitle(explanation: Explanation) -> str:
    """Model and clip."""
    segments, frames = explanation.indices.shape
    return (
        f"{explanation.model}: {segments} segments of {frames} frames, out of "
        f"{explanation.num_frames} frames of video; time runs to the right"
    )


def cell_size(explanation: Explanation) -> tuple[int, int]:
    """Height and width of a segment's picture."""
    height, width = explanation.frames.shape[2:4]
    factor = max(1, -(-MIN_CELL // width))
    shrinking = min(1.0, MAX_CELL / (max(height, width) * factor))
    return max(1, round(height * factor * shrinking)), max(1, round(width * factor * shrinking))


def resized(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pictures of that size: pixels repeated where it is larger, left out where it is smaller."""
    if pictures.shape[1:3] == (height, width):
        return pictures
    planes = np.moveaxis(pictures, -1, 0)
    return np.stack([enlarged(plane, height, width) for plane in planes], axis=-1)
