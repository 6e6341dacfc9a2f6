"""Writing an explanation as files, among them a page that any browser shows."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from keras_tdn.explaining.drawing import (
    FRAMES_PER_SECOND,
    cell_size,
    draw_animation,
    draw_strip,
    encode_animation,
)
from keras_tdn.explaining.explain import Explanation
from keras_tdn.explaining.maps import (
    LEVELS,
    SIGNED,
    Row,
    captions,
    difference_rows,
    gate_row,
    overview_rows,
)
from keras_tdn.files.atomic import check_free, write_beside
from keras_tdn.pages.pictures import encode, encode_gif, picture, resized
from keras_tdn.pages.plots import bars, inline_svg
from keras_tdn.pages.rendering import Bar, render

FILES = {
    "strip": "strip.png",
    "gif": "animation.gif",
    "mp4": "animation.mp4",
    "page": "explanation.html",
}
FORMATS = tuple(FILES)
LEGEND_WIDTH = 180


def write_explanation(
    explanation: Explanation,
    output: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    *,
    video: str = "the video",
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Draws an explanation and writes it into a folder.

    Args:
        explanation: From `explain`.
        output: The folder; it is made if need be. Other files in it are left alone.
        formats: Some of `"strip"`, one PNG picture, segments from left to right; `"gif"` and
            `"mp4"`, an animation; and `"page"`, a self-contained page with all of it.
        video: What the page calls the video.
        overwrite: Whether files of the same names may be replaced.

    Returns:
        The files' paths, in the order of `formats`.

    Raises:
        ValueError: if there is no such format, or a file is there already.

    Example:

    >>> write_explanation(explain(model, "jump.mp4"), "explained", ["strip"])
    (PosixPath('explained/strip.png'),)
    """
    paths = check_output(output, formats, overwrite)
    pictures = draw_animation(explanation) if {"gif", "mp4"} & set(formats) else []
    writers: dict[str, Callable[[], bytes]] = {
        "strip": lambda: encode(draw_strip(explanation), "png"),
        "gif": lambda: encode_gif(pictures, FRAMES_PER_SECOND),
        "mp4": lambda: encode_animation(pictures),
        "page": lambda: explanation_page(explanation, video).encode(),
    }
    for name, path in zip(formats, paths, strict=True):
        write_beside(path, writers[name]())
    return paths


def check_output(
    output: str | os.PathLike[str], formats: Sequence[str], overwrite: bool = False
) -> tuple[Path, ...]:
    """The paths of the files, if they can be written."""
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats or isinstance(formats, str) or len(set(formats)) < len(formats):
        raise ValueError(
            f"The formats of an explanation are some of {list(FORMATS)}, each once. "
            f"Received: {formats!r}"
        )
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file. Explanations go into a folder.")
    paths = tuple(folder / FILES[name] for name in formats)
    for path in paths:
        check_free(path, overwrite)
    return paths


def explanation_page(explanation: Explanation, video: str) -> str:
    """Returns the page, which needs no other file."""
    first, target = explanation.predictions[0], explanation.target
    return render(
        "explanation.html",
        title=f"{target.label}: {video}",
        lead=f"What {explanation.model} sees in {video}, and what speaks for {target.label}.",
        explanation=explanation,
        bars=[
            Bar(item.label, item.score, is_marked=first.index != target.index == item.index)
            for item in explanation.predictions
        ],
        charts=_charts(explanation),
        maps=shown_maps(explanation),
    )


def shown_maps(explanation: Explanation) -> dict[str, object]:
    """Returns what `explanation_parts.html` shows: rows of what modules there are, and a video."""
    gates = [gate_row(explanation, stage, way) for stage in explanation.stages for way in SIGNED]
    pictures = draw_animation(explanation, titled=False)
    return {
        "overview": [_shown_row(explanation, row) for row in overview_rows(explanation)],
        "differences": [_shown_row(explanation, row) for row in difference_rows(explanation)],
        "gates": [_shown_row(explanation, row) for row in gates],
        "video": f"data:video/mp4;base64,{base64.b64encode(encode_animation(pictures)).decode()}",
        "size": pictures[0].shape,
    }


def _shown_row(explanation: Explanation, row: Row) -> dict[str, object]:
    """The row, its pictures with their captions, their width, and the colours of its scale."""
    height, width = cell_size(explanation)
    cells = []
    for number, cell in enumerate(row.pictures, start=1):
        sized = resized(cell, height, width, sharp=True)
        cells.append(picture(sized, f"{row.title}, segment {number}", lossless=row.lossless))
    legend = None
    if row.scale is not None:
        legend = picture(row.scale.bar(LEGEND_WIDTH, 1), f"colours of {row.title}", lossless=True)
    captioned = list(zip(cells, captions(explanation), strict=True))
    return {"row": row, "cells": captioned, "width": width, "legend": legend}


def _charts(explanation: Explanation) -> list[tuple[str, Markup]]:
    unit = "logits" if explanation.kind == "logits" else "probability"
    charts = [(f"Evidence for {explanation.target.label}", explanation.contributions, unit)]
    energy = explanation.motion_energy
    if energy is not None:
        charts.append(("Motion inside the segment", _root_mean_square(energy), LEVELS))
    maps = [explanation.stage_gates(stage, "strength") for stage in explanation.stages]
    if maps:
        name, unit = "Strength of the gates, all stages", "root mean square"
        charts.append((name, np.mean([_root_mean_square(each) for each in maps], axis=0), unit))
    return [
        (name, inline_svg(bars(values.tolist(), "segment", unit), f"{name} by segment"))
        for name, values, unit in charts
    ]


def _root_mean_square(maps: np.ndarray) -> np.ndarray:
    return np.sqrt((maps**2).mean(axis=(1, 2)))
