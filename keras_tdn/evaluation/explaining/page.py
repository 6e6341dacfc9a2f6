"""An explanation as a page that any browser shows."""

from __future__ import annotations

import base64

import numpy as np

from keras_tdn.evaluation.explaining.animation import draw_animation, encode_mp4
from keras_tdn.evaluation.explaining.explain import Explanation
from keras_tdn.evaluation.explaining.rows import (
    Row,
    cam_row,
    captions,
    difference_row,
    energy_row,
    frame_row,
    gate_row,
    strength_row,
)
from keras_tdn.evaluation.explaining.strip import cell_size, resized
from keras_tdn.html import (
    Bar,
    Plot,
    Tile,
    bar_chart,
    document,
    escape,
    facts,
    percent,
    picture,
    section,
    tiles,
)
from keras_tdn.html.plot import bar_range, nice_ticks

LEGEND_WIDTH = 180

STYLE = """
.row { display: grid; grid-template-columns: 12.5rem minmax(0, 1fr); gap: .2rem 1.2rem;
       margin: .9rem 0; align-items: start; }
.row > div:first-child { font-size: .86rem; color: var(--muted); }
.row b { display: block; color: var(--ink); font-size: .95rem; font-weight: 600; }
.cells { display: grid; gap: 4px; }
.cells figure { margin: 0; min-width: 0; }
.cells img { display: block; width: 100%; height: auto; border-radius: 2px; }
.cells figcaption { font-size: .75rem; color: var(--muted); text-align: center;
                    font-variant-numeric: tabular-nums; }
.legend { margin-top: .35rem; max-width: 180px; }
.legend img { display: block; width: 100%; height: 10px; border-radius: 2px; }
.legend p { display: flex; justify-content: space-between; margin: 0; font-size: .78rem;
            font-variant-numeric: tabular-nums; }
video { max-width: 100%; border: 1px solid var(--line); border-radius: 4px; }
@media (max-width: 700px) { .row { grid-template-columns: 1fr; } }
"""


def page(explanation: Explanation, video: str) -> str:
    """The page, which needs no other file.

    Args:
        explanation: What to show.
        video: What the video is called.

    Returns:
        A text that begins with `<!DOCTYPE html>`.
    """
    body = "".join(
        (
            _numbers(explanation),
            overview(explanation),
            _time(explanation),
            in_motion(explanation),
            short_term_maps(explanation),
            gate_maps(explanation),
            _how_to_read(explanation),
        )
    )
    target = explanation.target.label
    lead = f"What {explanation.model} sees in {video}, and what speaks for {target}."
    return document(f"{target}: {video}", body, lead=lead, style=STYLE)


def _numbers(explanation: Explanation) -> str:
    first, target = explanation.predictions[0], explanation.target
    items = [Tile(first.label, "predicted", percent(first.score))]
    if target.index != first.index:
        items.append(Tile(target.label, "explained here", percent(target.score)))
    segments, frames = explanation.indices.shape
    items.append(
        Tile(f"{segments} x {frames}", "segments x frames", f"of {explanation.num_frames} frames")
    )
    bars = [
        Bar(item.label, item.score, marked=first.index != target.index == item.index)
        for item in explanation.predictions
    ]
    missing = "".join(
        f'<p class="warning">This model has {escape(text)}. The parts of this page that would show '
        "it are left out.</p>"
        for text in explanation.missing
    )
    return tiles(items) + missing + bar_chart(bars)


def overview(explanation: Explanation) -> str:
    """Frames, differences, gates and Grad-CAM, a row each, as a section."""
    rows = [frame_row(explanation)]
    if explanation.differences is not None:
        rows.append(energy_row(explanation))
    rows += [strength_row(explanation, stage) for stage in explanation.stages]
    rows.append(cam_row(explanation))
    return section(
        "From segment to segment",
        "".join(_row(explanation, row) for row in rows),
        "Each column is a segment, time runs to the right; below it, the numbers of its frames. "
        "Gates answer to what differs between neighbouring segments; the first and the last have "
        "one neighbour only.",
    )


def _time(explanation: Explanation) -> str:
    charts = [
        (
            f"Evidence for {explanation.target.label}",
            explanation.contributions,
            "logits" if explanation.kind == "logits" else "probability",
        )
    ]
    energy = explanation.motion_energy
    if energy is not None:
        charts.append(
            ("Motion inside the segment", np.sqrt((energy**2).mean(axis=(1, 2))), "levels of 255")
        )
    if explanation.stages:
        strengths = [
            np.sqrt((explanation.stage_gates(stage, "strength") ** 2).mean(axis=(1, 2)))
            for stage in explanation.stages
        ]
        charts.append(
            ("Strength of the gates, all stages", np.mean(strengths, axis=0), "root mean square")
        )
    body = "".join(
        f"<div><h3>{escape(name)}</h3>{_bars(values, unit, name)}</div>"
        for name, values, unit in charts
    )
    return section(
        "Over time",
        f'<div class="beside">{body}</div>',
        "By segment. Evidence is what a segment's features add to the class' logit; below zero "
        "they speak against it.",
    )


def _bars(values: np.ndarray, unit: str, description: str) -> str:
    bounds = bar_range(values.tolist())
    numbers = range(1, len(values) + 1)
    plot = Plot(
        (0.4, len(values) + 0.6), bounds, numbers, nice_ticks(*bounds, count=4), "segment", unit,
        width=336, height=230,
    )  # fmt: skip
    for number, value in zip(numbers, values.tolist(), strict=True):
        color = "var(--bar)" if value >= 0 else "var(--other)"
        plot.rectangle(
            number - 0.36, min(0.0, value), number + 0.36, max(0.0, value), color,
            note=f"segment {number}: {value:.3g} {unit}",
        )  # fmt: skip
    return plot.svg(f"{description} by segment")


def in_motion(explanation: Explanation) -> str:
    """The animation, as a section."""
    pictures = draw_animation(explanation)
    height, width, _ = pictures[0].shape
    data = base64.b64encode(encode_mp4(pictures)).decode()
    return section(
        "In motion",
        f'<video controls loop muted autoplay playsinline width="{width}" height="{height}" '
        f'src="data:video/mp4;base64,{data}"></video>',
        "The centre frames, and the maps of their segments."
        if explanation.differences is None
        else "Frames beside what changed since the one before them, and the maps of their segment.",
    )


def short_term_maps(explanation: Explanation) -> str:
    """Differences of neighbouring frames, as a section; empty without a short-term TDM."""
    if explanation.differences is None:
        return ""
    pairs = range(explanation.differences.shape[1])
    return section(
        "What the short-term TDM sees",
        "".join(_row(explanation, difference_row(explanation, pair)) for pair in pairs),
        "Differences of neighbouring frames, in levels of 255. Inside the model they are divided "
        "by 255 and by the standard deviation of each colour.",
    )


def gate_maps(explanation: Explanation) -> str:
    """Gates by stage and direction, as a section; empty without a long-term TDM."""
    if not explanation.stages:
        return ""
    rows = [
        gate_row(explanation, stage, direction)
        for stage in explanation.stages
        for direction in ("mean", "forward", "backward")
    ]
    return section(
        "The gates of the long-term TDMs, with their sign",
        "".join(_row(explanation, row) for row in rows),
        "A gate lies between -0.5 and 0.5; features are multiplied by 1 plus the mean of both "
        "directions. Shown are means over channels, some of which are raised where others are "
        "lowered; the strength further up does not let them cancel out. The last segment has no "
        "next one and the first none before it: there a gate is what it is without any change.",
    )


def _how_to_read(explanation: Explanation) -> str:
    rows = [
        ("Model", explanation.model),
        ("Grad-CAM of", f"{explanation.cam_layer}, gradients of the score of one class"),
        ("Clip", "one centre crop of centre-sampled segments, as `keras-tdn predict` takes it"),
        ("Long-term TDMs", ", ".join(maps.layer for maps in explanation.gates) or "none"),
    ]
    return section("How it was made", facts(rows))


def _row(explanation: Explanation, row: Row) -> str:
    legend = ""
    if row.scale is not None:
        bar = picture(row.scale.bar(LEGEND_WIDTH, 1), f"colours of {row.name}", lossless=True)
        marks = "".join(f"<span>{escape(mark)}</span>" for mark in row.scale.marks)
        legend = f'<div class="legend">{bar}<p>{marks}</p>{escape(row.scale.unit)}</div>'
    height, width = cell_size(explanation)
    cells = "".join(
        f"<figure>{picture(cell, f'{row.name}, segment {number}', lossless=row.lossless)}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for number, (cell, caption) in enumerate(
            zip(resized(row.pictures, height, width), captions(explanation), strict=True), start=1
        )
    )
    columns = f"repeat({len(row.pictures)}, minmax(0, {width}px))"
    return (
        f'<div class="row"><div><b>{escape(row.name)}</b>{escape(row.note)}{legend}</div>'
        f'<div class="cells" style="grid-template-columns:{columns}">{cells}</div></div>\n'
    )
