"""Clips on one page that any browser shows, or on sheets, a picture each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_tdn import html
from keras_tdn.data import browsing_pictures
from keras_tdn.data.browsing import BrowsedClip

# What the common style leaves open: two columns of wide pictures.
STYLE = """
body { max-width: 1420px; }
p { max-width: none; overflow-wrap: anywhere; }
.segments { display: grid; grid-template-columns: repeat(auto-fill, minmax(576px, 1fr));
            gap: 1rem 1.4rem; }
figure { margin: 0 0 .8rem; } figure img { display: block; }
figcaption { font-variant-numeric: tabular-nums; margin-bottom: .2rem; }
.bad { color: var(--bad); }
"""

LEGEND = (
    "Each video begins with the centre frame of every segment, the crop outlined where it is drawn "
    "before all else. Below, segment by segment: the frames as the model takes them, in order, and "
    "between each two what the second adds to the first (grey: nothing)."
)


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
    body = "\n".join(_section(clip, labels) for clip in clips)
    page = html.document(title, body, lead=LEGEND, style=STYLE)
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
        Path(path).write_bytes(tf.io.encode_png(browsing_pictures.sheet(clip)).numpy())
        paths.append(path)
    return paths


def _section(clip: BrowsedClip, labels: Sequence[str] | None) -> str:
    record = clip.record
    heading = _label(record.label, labels)
    if clip.label != record.label:
        heading += f", becomes {_label(clip.label, labels)}"
    if clip.reason:
        reason = f'<p class="bad">{html.escape(clip.reason)}</p>'
        return html.section(heading, reason, note=record.path)
    height, width = clip.frames.shape[1:3]
    facts = [
        record.path,
        f"record {record.index}, epoch {clip.epoch}",
        f"{clip.num_frames} frames of {width}x{height} pixels",
    ]
    if clip.box is not None:
        top, left, crop_height, crop_width = clip.box
        facts.append(f"crop of {crop_width}x{crop_height} at ({left}, {top})")
    facts.append(f"clip of {len(clip.clip)} frames, {clip.clip.shape[2]}x{clip.clip.shape[1]}")
    figures = "\n".join(
        f"<figure><figcaption>segment {number + 1}: frames {_frame_range(indices)}</figcaption>"
        f"{html.picture(browsing_pictures.segment(clip, number), f'segment {number + 1}')}</figure>"
        for number, indices in enumerate(clip.indices)
    )
    whole = html.picture(browsing_pictures.overview(clip), "centre frame of each segment")
    body = f'<figure>{whole}</figure>\n<div class="segments">{figures}</div>'
    return html.section(heading, body, note="; ".join(facts))


def _label(label: int | None, labels: Sequence[str] | None) -> str:
    if labels is None or label is None:
        return f"class {label}"
    return f"{labels[label]} ({label})"


def _frame_range(indices: np.ndarray) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1:
        return f"{first}\u2013{last}"
    return ", ".join(str(int(index)) for index in indices)
