"""Clips on one page that any browser shows, or on sheets, a picture each."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_tdn.data import browsing_pictures
from keras_tdn.data.browsing import BrowsedClip

JPEG_QUALITY = 85

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1d1d1f; background: #fff;
       max-width: 1420px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 0; }
header p, .facts { color: #5a5a60; margin: .1rem 0 .6rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #d8d8dc; padding: 1.1rem 0 1.4rem; }
.segments { display: grid; grid-template-columns: repeat(auto-fill, minmax(576px, 1fr));
            gap: 1rem 1.4rem; }
figure { margin: 0 0 .8rem; }
figcaption { font-variant-numeric: tabular-nums; margin-bottom: .2rem; }
img { max-width: 100%; display: block; }
.bad { color: #b00020; }
.changed { color: #8a5a00; }
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
    sections = "\n".join(_section(clip, labels) for clip in clips)
    text = (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<header><h1>{html.escape(title)}</h1><p>{LEGEND}</p></header>\n{sections}\n</html>\n"
    )
    Path(path).write_text(text, encoding="utf-8", errors="replace")


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
    heading = html.escape(_label(record.label, labels))
    if clip.label != record.label:
        heading += (
            f' <span class="changed">becomes {html.escape(_label(clip.label, labels))}</span>'
        )
    path = html.escape(record.path)
    if clip.reason:
        return (
            f'<section><h2>{heading}</h2><p class="facts">{path}</p>'
            f'<p class="bad">{html.escape(clip.reason)}</p></section>'
        )
    height, width = clip.frames.shape[1:3]
    facts = [
        path,
        f"record {record.index}, epoch {clip.epoch}",
        f"{clip.num_frames} frames of {width}x{height} pixels",
    ]
    if clip.box is not None:
        top, left, crop_height, crop_width = clip.box
        facts.append(f"crop of {crop_width}x{crop_height} at ({left}, {top})")
    facts.append(f"clip of {len(clip.clip)} frames, {clip.clip.shape[2]}x{clip.clip.shape[1]}")
    figures = "\n".join(
        f"<figure><figcaption>segment {number + 1}: frames {_frame_range(indices)}</figcaption>"
        f"{_image(browsing_pictures.segment(clip, number), f'segment {number + 1}')}</figure>"
        for number, indices in enumerate(clip.indices)
    )
    whole = _image(browsing_pictures.overview(clip), "centre frame of each segment")
    return (
        f'<section><h2>{heading}</h2><p class="facts">{"; ".join(facts)}</p>\n'
        f'<figure>{whole}</figure>\n<div class="segments">{figures}</div></section>'
    )


def _label(label: int | None, labels: Sequence[str] | None) -> str:
    if labels is None or label is None:
        return f"class {label}"
    return f"{labels[label]} ({label})"


def _frame_range(indices: np.ndarray) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1:
        return f"{first}\u2013{last}"
    return ", ".join(str(int(index)) for index in indices)


def _image(picture: np.ndarray, description: str) -> str:
    content = tf.io.encode_jpeg(picture, quality=JPEG_QUALITY).numpy()
    data = base64.b64encode(content).decode()
    height, width = picture.shape[:2]
    return (
        f'<img alt="{description}" width="{width}" height="{height}" '
        f'src="data:image/jpeg;base64,{data}">'
    )
