"""An explanation in motion: frame, difference, gates and Grad-CAM side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from keras_tdn.evaluation.explaining.canvas import MUTED, Canvas, line_height
from keras_tdn.evaluation.explaining.colors import Scale, color_differences, enlarged, overlay
from keras_tdn.evaluation.explaining.explain import Explanation
from keras_tdn.evaluation.explaining.rows import LEVELS, cam_scale, strength_row
from keras_tdn.evaluation.explaining.strip import cell_size, resized, title

FRAMES_PER_SECOND = 6
GAP, MARGIN = 8, 12
PANEL_MIN = 168


def draw_animation(explanation: Explanation) -> list[np.ndarray]:
    """The pictures of the animation, as many as there are differences.

    Each shows a frame beside what changed since the one before it, and the gates and Grad-CAM of
    its segment. Without differences there is one for each segment.

    Args:
        explanation: What to draw.

    Returns:
        uint8 pictures of one size, even in height and width, as video codecs want it.
    """
    height, width = (
        side * max(1, -(-PANEL_MIN // cell_size(explanation)[1])) for side in cell_size(explanation)
    )
    names, legends, panels = _panels(explanation)
    segments, frames_per_segment = explanation.indices.shape
    top = MARGIN + 2 * line_height() + GAP
    total_height = top + line_height() + height + GAP + 10 + 2 * line_height() + 4 + MARGIN
    total_width = 2 * MARGIN + len(names) * (width + GAP) - GAP
    total_width = max(total_width, 480)
    pictures = []
    for number in range(len(panels[0])):
        canvas = Canvas(total_height + total_height % 2, total_width + total_width % 2)
        room = total_width - 2 * MARGIN
        steps = len(panels[0]) // segments
        segment, step = divmod(number, steps)
        place = step + 1 if steps > 1 or frames_per_segment == 2 else frames_per_segment // 2
        frame = explanation.indices[segment, min(place, frames_per_segment - 1)]
        canvas.text(title(explanation), MARGIN, MARGIN, room)
        canvas.text(
            f"segment {segment + 1} of {segments}, frame {frame} of {explanation.num_frames}",
            MARGIN + line_height(),
            MARGIN,
            room,
            MUTED,
        )
        for column, (name, legend, panel) in enumerate(zip(names, legends, panels, strict=True)):
            left = MARGIN + column * (width + GAP)
            canvas.text(name, top, left, width)
            canvas.picture(
                resized(panel[number][np.newaxis], height, width)[0], top + line_height(), left
            )
            if legend is not None:
                canvas.legend(legend, top + line_height() + height + GAP, left, width - GAP)
        pictures.append(canvas.pixels)
    return pictures


def encode_gif(pictures: Sequence[np.ndarray], rate: int = FRAMES_PER_SECOND) -> bytes:
    """An animated GIF that plays for ever, its 256 colours chosen for these pictures.

    Args:
        pictures: uint8 of shape `(height, width, 3)`, all of one size.
        rate: Pictures per second.
    """
    import av
    import av.filter

    height, width, _ = pictures[0].shape
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format="rgb24", time_base=Fraction(1, rate)
    )
    split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=full")
    # Dithering would flicker from picture to picture.
    use, sink = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for number, pixels in enumerate(pictures):
        graph.push(_frame(pixels, number, rate))
    graph.push(None)
    file = io.BytesIO()
    with av.open(file, "w", format="gif", options={"loop": "0"}) as output:
        stream = output.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for number in range(len(pictures)):
            frame = graph.pull()
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def encode_mp4(pictures: Sequence[np.ndarray], rate: int = FRAMES_PER_SECOND) -> bytes:
    """An H.264 video, or MPEG-4 where PyAV has no encoder for that.

    Args:
        pictures: uint8 of shape `(height, width, 3)`, all of one even size.
        rate: Pictures per second.
    """
    import av

    has_x264 = "libx264" in av.codecs_available
    height, width, _ = pictures[0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        options = {"crf": "18", "preset": "fast"} if has_x264 else {"q:v": "3"}
        stream = output.add_stream("libx264" if has_x264 else "mpeg4", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, pixels in enumerate(pictures):
            output.mux(stream.encode(_frame(pixels, number, rate)))
        output.mux(stream.encode(None))
    return file.getvalue()


def _panels(
    explanation: Explanation,
) -> tuple[list[str], list[Scale | None], list[np.ndarray]]:
    """Names, scales and pictures of what stands side by side; as many pictures of each."""
    segments, frames_per_segment, height, width, _ = explanation.frames.shape
    differences = explanation.differences
    steps = 1 if differences is None else frames_per_segment - 1
    shown = explanation.center_frames[:, np.newaxis]
    if differences is not None:
        shown = explanation.frames[:, 1:]
    flat = shown.reshape(segments * steps, height, width, 3)
    names, panels = ["frame"], [flat]
    legends: list[Scale | None] = [None]
    if differences is not None:
        scale = color_differences(differences, LEVELS)
        names.append("RGB difference")
        legends.append(scale)
        panels.append(scale.colors(differences).reshape(flat.shape))
    if explanation.stages:
        # The finest maps.
        row = strength_row(explanation, explanation.stages[0])
        names.append(f"gates, stage {explanation.stages[0]}")
        legends.append(row.scale)
        panels.append(row.pictures.repeat(steps, axis=0))
    scale = cam_scale(explanation)
    maps = enlarged(explanation.cam, height, width, smooth=True).repeat(steps, axis=0)
    names.append(f"Grad-CAM: {explanation.target.label}")
    legends.append(scale)
    panels.append(overlay(flat, maps, scale))
    return names, legends, panels


def _frame(pixels: np.ndarray, number: int, rate: int) -> Any:
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.pts, frame.time_base = number, Fraction(1, rate)
    return frame
