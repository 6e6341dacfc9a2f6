"""An explanation as one picture, and in motion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_tdn.explaining.explain import Explanation
from keras_tdn.explaining.maps import (
    LEVELS,
    Row,
    Scale,
    cam_row,
    captions,
    difference_rows,
    gate_row,
    overview_rows,
    scale_of,
)
from keras_tdn.pages.pictures import (
    MUTED,
    TITLE_SIZE,
    Paper,
    can_be_drawn,
    encode_mp4,
    line_height,
    resized,
    wrapped,
)
from keras_tdn.prediction import Prediction

FRAMES_PER_SECOND = 6
# Frames are enlarged by whole factors until captions have room, and shrunk if they are larger.
MIN_CELL, MAX_CELL = 112, 224
NAMES_WIDTH = 190
# Of the pictures of the animation, which stand beside each other under a title.
PANEL_MIN, WIDTH_MIN = 168, 480
GAP, MARGIN = 8, 16
BAR_HEIGHT = 10
LEGEND_HEIGHT = BAR_HEIGHT + 4 + 2 * line_height()


def draw_strip(explanation: Explanation) -> np.ndarray:
    """Draws segments from left to right, and what is seen of them from top to bottom."""
    first, *others, last = overview_rows(explanation)
    differences = difference_rows(explanation)
    gates = [gate_row(explanation, stage) for stage in explanation.stages]
    # One of the differences is enough here.
    rows = [first, *differences[len(differences) // 2 :][:1], *others, *gates, last]
    cell_height, cell_width = cell_size(explanation)
    segments = len(explanation.frames)
    # Names and legends need room where frames are low.
    row_height = max(cell_height, 2 * line_height() + 4 + LEGEND_HEIGHT) + GAP // 2
    top = MARGIN + line_height(TITLE_SIZE) + 2 * line_height() + GAP
    footer = [f"The model has {text}." for text in explanation.missing]
    room = NAMES_WIDTH + segments * (cell_width + GAP // 2)
    bottom = top + len(rows) * row_height + len(footer) * line_height()
    paper = Paper(bottom + MARGIN, room + 2 * MARGIN)
    paper.text(title(explanation), MARGIN, MARGIN, room, size=TITLE_SIZE)
    line = MARGIN + line_height(TITLE_SIZE)
    subtitle = (
        f"{explanation.model}: {segments} segments of {explanation.frames.shape[1]} frames, out of "
        f"{explanation.num_frames} frames of video; time runs to the right"
    )
    paper.text(subtitle, line, MARGIN, room, MUTED)
    left = MARGIN + NAMES_WIDTH
    paper.text("frames", top - line_height(), MARGIN, NAMES_WIDTH, MUTED)
    for number, caption in enumerate(captions(explanation)):
        place = left + number * (cell_width + GAP // 2)
        paper.text(caption, top - line_height(), place, cell_width, MUTED, align="center")
    for row in rows:
        line = top
        for text in wrapped(_title_of(row, explanation), NAMES_WIDTH - 14)[:2]:
            paper.text(text, line, MARGIN, NAMES_WIDTH - 14)
            line += line_height()
        if row.scale is not None:
            _legend(paper, row.scale, line + 4, MARGIN, NAMES_WIDTH - 24)
        for number, picture in enumerate(row.pictures):
            cell = resized(picture, cell_height, cell_width, sharp=True)
            paper.picture(cell, top, left + number * (cell_width + GAP // 2))
        top += row_height
    for text in footer:
        paper.text(text, top, MARGIN, room, MUTED)
        top += line_height()
    return paper.pixels


def draw_animation(explanation: Explanation, titled: bool = True) -> list[np.ndarray]:
    """Draws the pictures of the animation, one for each difference or, without them, segment."""
    cell = cell_size(explanation)
    height, width = (side * max(1, -(-PANEL_MIN // cell[1])) for side in cell)
    panels = _panels(explanation)
    segments, frames_per_segment = explanation.indices.shape
    steps = len(panels[0].pictures) // segments
    top = MARGIN + (1 + titled) * line_height() + GAP
    room = max(len(panels) * (width + GAP) - GAP, WIDTH_MIN - 2 * MARGIN)
    total = (top + line_height() + height + GAP + LEGEND_HEIGHT + MARGIN, room + 2 * MARGIN)
    drawn = []
    for number in range(len(panels[0].pictures)):
        paper = Paper(*(side + side % 2 for side in total))
        segment, step = divmod(number, steps)
        place = step + 1 if steps > 1 or frames_per_segment == 2 else frames_per_segment // 2
        frame = explanation.indices[segment, min(place, frames_per_segment - 1)]
        told = f"segment {segment + 1} of {segments}, frame {frame} of {explanation.num_frames}"
        paper.text(told, top - GAP - line_height(), MARGIN, room, MUTED)
        if titled:
            paper.text(title(explanation), MARGIN, MARGIN, room)
        for column, panel in enumerate(panels):
            left = MARGIN + column * (width + GAP)
            paper.text(_title_of(panel, explanation) if titled else panel.name, top, left, width)
            below = top + line_height()
            paper.picture(resized(panel.pictures[number], height, width, sharp=True), below, left)
            if panel.scale is not None:
                _legend(paper, panel.scale, below + height + GAP, left, width - GAP)
        drawn.append(paper.pixels)
    return drawn


def encode_animation(pictures: Sequence[np.ndarray]) -> bytes:
    """Returns an H.264 video, or MPEG-4 where PyAV has no encoder for that."""
    import av

    codec, options = "mpeg4", {"q:v": "3"}
    if "libx264" in av.codecs_available:
        codec, options = "libx264", {"crf": "18", "preset": "fast"}
    return encode_mp4(pictures, FRAMES_PER_SECOND, codec, options)


def title(explanation: Explanation) -> str:
    """Returns what is predicted, and what is explained if that is something else."""
    first, target = explanation.predictions[0], explanation.target
    text = f"predicted: {_name(first)} ({100 * first.score:.1f} %)"
    if target.index != first.index:
        text += f", explained: {_name(target)} ({100 * target.score:.1f} %)"
    return text


def cell_size(explanation: Explanation) -> tuple[int, int]:
    """Returns height and width of a segment's picture."""
    height, width = explanation.frames.shape[2:4]
    factor = max(1, -(-MIN_CELL // width))
    shrinking = min(1.0, MAX_CELL / (max(height, width) * factor))
    return max(1, round(height * factor * shrinking)), max(1, round(width * factor * shrinking))


def _panels(explanation: Explanation) -> list[Row]:
    """What stands side by side in the animation; as many pictures of each."""
    segments, frames_per_segment, height, width, _ = explanation.frames.shape
    differences = explanation.differences
    steps = 1 if differences is None else frames_per_segment - 1
    shown = explanation.center_frames if differences is None else explanation.frames[:, 1:]
    frames = shown.reshape(segments * steps, height, width, 3)
    panels = [Row("frame", "", frames)]
    if differences is not None:
        scale = scale_of(differences, LEVELS, "color")
        pictures = scale.colors(differences).reshape(frames.shape)
        panels.append(Row("RGB difference", "", pictures, scale))
    # The finest maps.
    for stage in explanation.stages[:1]:
        row = gate_row(explanation, stage, "strength")
        pictures = row.pictures.repeat(steps, axis=0)
        panels.append(Row(f"gates, stage {stage}", "", pictures, row.scale))
    panels.append(cam_row(explanation, frames))
    return panels


def _legend(paper: Paper, scale: Scale, top: int, left: int, width: int) -> None:
    """A bar of the scale's colours with its numbers below, and the unit below them."""
    paper.picture(scale.bar(width, BAR_HEIGHT), top, left)
    below = top + BAR_HEIGHT + 4
    places = ("left", "right") if len(scale.marks) == 2 else ("left", "center", "right")
    for mark, place in zip(scale.marks, places, strict=True):
        paper.text(mark, below, left, width, MUTED, align=place)
    paper.text(scale.unit, below + line_height(), left, width, MUTED)


def _title_of(row: Row, explanation: Explanation) -> str:
    return f"{row.name}: {_name(explanation.target)}" if row.label else row.name


def _name(prediction: Prediction) -> str:
    """The label, unless it is of a script that the letters on pictures do not have."""
    return prediction.label if can_be_drawn(prediction.label) else f"class {prediction.index}"
