"""An explanation as a page that any browser shows, and the parts of it that other pages show."""

from __future__ import annotations

import base64

import numpy as np
from markupsafe import Markup

from keras_tdn.explaining.drawing import cell_size, draw_animation, encode_mp4
from keras_tdn.explaining.explain import Explanation
from keras_tdn.explaining.maps import (
    LEVELS,
    SIGNED,
    Row,
    cam_row,
    captions,
    difference_row,
    energy_row,
    frame_row,
    gate_row,
    strength_row,
)
from keras_tdn.pages.pictures import picture, resized
from keras_tdn.pages.plots import bars, inline_svg
from keras_tdn.pages.rendering import Bar, render

LEGEND_WIDTH = 180


def explanation_page(explanation: Explanation, video: str) -> str:
    """Returns the page, which needs no other file.

    Args:
        explanation: What to show.
        video: What the video is called.
    """
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
    """Returns what `explanation_parts.html` shows of an explanation.

    Args:
        explanation: What to show.

    Returns:
        By name: the rows of `overview`, of `differences` (none without a short-term TDM) and of
        `gates` (none without a long-term TDM), and the `video` with its size.
    """
    overview = [frame_row(explanation)]
    differences: list[Row] = []
    if explanation.differences is not None:
        overview.append(energy_row(explanation))
        pairs = range(explanation.differences.shape[1])
        differences = [difference_row(explanation, pair) for pair in pairs]
    overview += [strength_row(explanation, stage) for stage in explanation.stages]
    overview.append(cam_row(explanation))
    gates = [gate_row(explanation, stage, way) for stage in explanation.stages for way in SIGNED]
    pictures = draw_animation(explanation, titled=False)
    return {
        "overview": [_shown_row(explanation, row) for row in overview],
        "differences": [_shown_row(explanation, row) for row in differences],
        "gates": [_shown_row(explanation, row) for row in gates],
        "video": f"data:video/mp4;base64,{base64.b64encode(encode_mp4(pictures)).decode()}",
        "size": pictures[0].shape,
    }


def _shown_row(explanation: Explanation, row: Row) -> dict[str, object]:
    """The row, its pictures with their captions, their width, and the colours of its scale."""
    height, width = cell_size(explanation)
    cells = [
        (
            picture(
                resized(cell, height, width, sharp=True),
                f"{row.title}, segment {number}",
                lossless=row.lossless,
            ),
            caption,
        )
        for number, (cell, caption) in enumerate(
            zip(row.pictures, captions(explanation), strict=True), start=1
        )
    ]
    legend = None
    if row.scale is not None:
        legend = picture(row.scale.bar(LEGEND_WIDTH, 1), f"colours of {row.title}", lossless=True)
    return {"row": row, "cells": cells, "width": width, "legend": legend}


def _charts(explanation: Explanation) -> list[tuple[str, Markup]]:
    """What changes from segment to segment, as headings and plots."""
    charts = [
        (
            f"Evidence for {explanation.target.label}",
            explanation.contributions,
            "logits" if explanation.kind == "logits" else "probability",
        )
    ]
    energy = explanation.motion_energy
    if energy is not None:
        charts.append(("Motion inside the segment", np.sqrt((energy**2).mean(axis=(1, 2))), LEVELS))
    if explanation.stages:
        strengths = [
            np.sqrt((explanation.stage_gates(stage, "strength") ** 2).mean(axis=(1, 2)))
            for stage in explanation.stages
        ]
        charts.append(
            ("Strength of the gates, all stages", np.mean(strengths, axis=0), "root mean square")
        )
    return [
        (name, inline_svg(bars(values.tolist(), "segment", unit), f"{name} by segment"))
        for name, values, unit in charts
    ]
