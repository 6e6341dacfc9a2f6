"""What the page of a report shows of mistakes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_tdn.data.segment_sampling import center_indices
from keras_tdn.evaluation.report import EvaluationReport, VideoResult
from keras_tdn.html import escape, percent, picture_strip, section
from keras_tdn.scoring.views import FrameReader

MAX_MISTAKES = 24
PICTURES_PER_VIDEO = 5
PICTURE_HEIGHT = 90

STYLE = """
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(34rem, 100%), 1fr));
            gap: 1.1rem 1.6rem; }
.mistakes article { min-width: 0; }
.mistakes p { margin: 0 0 .1rem; }
.mistakes .strip { flex-wrap: nowrap; } .mistakes .strip figure { min-width: 0; }
.mistakes .strip img { max-width: 100%; height: auto; }
.mistakes .path { font-size: .82rem; color: var(--muted); overflow-wrap: anywhere; }
.mistakes .was { color: var(--good); font-weight: 600; }
.mistakes .said { color: var(--bad); font-weight: 600; }
"""


def mistakes_section(
    report: EvaluationReport, frames: FrameReader | None, rows: Mapping[str, int]
) -> str:
    """The most confident mistakes, with pictures of those videos that are there."""
    mistakes = report.mistakes(MAX_MISTAKES)
    if not mistakes:
        return section("Mistakes", "<p>There are none.</p>")
    cards = "".join(_mistake(report, mistake, frames, rows) for mistake in mistakes)
    total = sum(video.rank > 0 for video in report.videos)
    count = "all of them" if total == len(mistakes) else f"{len(mistakes)} of {total}"
    return section(
        "The most confident mistakes",
        f'<div class="mistakes">{cards}</div>',
        f"Videos whose first guess is wrong, the most confident first: {count}.",
    )


def _mistake(
    report: EvaluationReport,
    video: VideoResult,
    frames: FrameReader | None,
    rows: Mapping[str, int],
) -> str:
    names = report.class_names
    strip = ""
    if frames is not None and video.path in rows:
        strip = _strip(frames, rows[video.path], f"video {video.index}")
    return (
        f'<article>{strip}<p>Is <span class="was">{escape(names[video.label])}</span> '
        f"({percent(video.truth)}, in place {video.rank + 1}), taken for "
        f'<span class="said">{escape(names[video.predicted])}</span> '
        f'({percent(video.confidence)})</p><p class="path">{escape(video.path)}</p></article>'
    )


def _strip(frames: FrameReader, row: int, description: str) -> str:
    places = np.zeros(0, np.int64)

    def choose(num_frames: int) -> np.ndarray:
        nonlocal places
        distinct, places = np.unique(
            center_indices(num_frames, PICTURES_PER_VIDEO, 1), return_inverse=True
        )
        return distinct

    try:
        pictures = frames.read(row, choose)
    except Exception:
        # It was read before; a page without a picture is better than none, whatever it is that the
        # decoder says.
        return '<p class="muted">The video can no longer be read.</p>'
    return picture_strip(
        [pictures[place] for place in dict.fromkeys(places.ravel().tolist())],
        description,
        height=PICTURE_HEIGHT,
    )
