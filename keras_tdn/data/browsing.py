"""Some clips of a data set as the model will see them, on a page or on sheets of pictures."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from keras_tdn.data.dataset import DatasetOptions
from keras_tdn.data.dataset.clip_sources import ClipSteps, clip_source
from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.decoding import Decoder
from keras_tdn.data.records import Record, RecordList
from keras_tdn.pages.pictures import Paper, encode, picture, resized
from keras_tdn.pages.rendering import render
from keras_tdn.specs import ClipSpec, checked_integer

FRAME_WIDTH = 168
CROP_WIDTH = 112
# Of pictures much taller than wide; there are videos of four pixels by thousands.
MAX_HEIGHT = 4 * FRAME_WIDTH
GAP = 4
# No difference is grey.
GREY = 128
BOX_COLOR = (255, 176, 0)
BOX_WIDTH = 2


@dataclasses.dataclass(frozen=True, eq=False)
class BrowsedClip:
    """One clip of a record, before and after the transforms.

    Of `num_frames`, `indices` are chosen, of shape `(num_segments, frames_per_segment)`. `frames`
    are these and `clip` what the transforms make of them, both uint8 of shape `(frames, height,
    width, 3)`. `label` is the clip's, which mirroring may have changed; `box` is `(top, left,
    height, width)` of the crop, where it is known. `reason` says why there are no frames, if so.
    """

    record: Record
    epoch: int
    num_frames: int
    indices: np.ndarray
    frames: np.ndarray
    clip: np.ndarray
    label: int
    box: tuple[int, int, int, int] | None
    reason: str


def browse_clips(
    records: RecordList,
    spec: ClipSpec,
    *,
    training: bool = True,
    count: int = 8,
    epoch: int = 0,
    seed: int = 0,
    sampler: Any = None,
    transforms: Any = None,
    decoder: str | Decoder = "pyav",
) -> list[BrowsedClip]:
    """Makes the clips of `count` records, spread evenly over the list, as `make_dataset` does.

    Use it to see, before you train, whether segments cover the action, crops keep it, and labels
    are right. `write_page` and `write_sheets` show what comes back. The other arguments are those
    of `make_dataset`.

    Example:

    >>> write_page(browse_clips(load_records("train.txt"), ClipSpec(), count=4), "page.html")
    """
    checked_integer("count", count, "`count` is a positive integer")
    options = DatasetOptions(training, 1, sampler, transforms, seed=seed, epoch=epoch)
    steps = options.steps(records, spec)
    answers = []

    def remembering(num_frames: Any, seed: Any) -> Any:
        indices = steps.sampler(num_frames, seed)
        answers.append((int(num_frames), np.asarray(indices)))
        return indices

    whole = ClipSteps(remembering, lambda inputs, seed: inputs, spec.num_frames)
    source = clip_source(records, whole, decoder, None)
    shape = (spec.num_segments, spec.frames_per_segment)
    rows = np.unique(np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int))
    clips = []
    for row in rows:
        record = records[int(row)]
        draw = tf.constant(record_seed(seed, epoch, record.index))
        values = {name: tf.constant(column[row]) for name, column in source.fields.items()}
        frames, label, reason = source.read(values, tf.constant(record.label), draw)
        clip, label = steps.transforms((frames, label), draw)
        box = None
        if getattr(steps.transforms, "crops_first", False):
            box = tuple(steps.transforms.box(*frames.shape[1:3], draw).numpy().tolist())
        bad = reason.numpy().decode()
        num_frames, indices = (0, np.zeros(shape, np.int32)) if bad else answers[-1]
        chosen = num_frames, indices.reshape(shape)
        seen, made = frames.numpy(), clip.numpy()
        clips.append(BrowsedClip(record, epoch, *chosen, seen, made, int(label), box, bad))
    return clips


def write_page(
    clips: Sequence[BrowsedClip],
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    title: str = "Clips",
) -> None:
    """Writes one HTML file that needs no other; `labels` are the names of the classes."""
    shown = []
    for clip in clips:
        values: dict[str, Any] = {"clip": clip, "heading": _heading(clip, labels)}
        if not clip.reason:
            values["overview"] = picture(overview(clip), "centre frame of each segment")
            values["segments"] = [
                (picture(segment(clip, number), f"segment {number + 1}"), _frame_range(indices))
                for number, indices in enumerate(clip.indices)
            ]
        shown.append(values)
    Path(path).write_text(render("clips.html", title=title, clips=shown), encoding="utf-8")


def write_sheets(clips: Sequence[BrowsedClip], folder: str | os.PathLike[str]) -> None:
    """Writes what `write_page` shows of each clip to a PNG file, named for the record's index."""
    os.makedirs(folder, exist_ok=True)
    for clip in clips:
        if not clip.reason:
            Path(folder, f"{clip.record.index:06d}.png").write_bytes(encode(sheet(clip), "png"))


def overview(clip: BrowsedClip) -> np.ndarray:
    """Returns the centre frame of each segment, with the crop drawn in."""
    num_segments, frames_per_segment = clip.indices.shape
    by_segment = clip.frames.reshape(num_segments, frames_per_segment, *clip.frames.shape[1:])
    frames = by_segment[:, frames_per_segment // 2]
    pictures = _scaled(frames, FRAME_WIDTH)
    if clip.box is not None:
        down, across = (pictures.shape[axis] / frames.shape[axis] for axis in (1, 2))
        pictures = np.stack([_with_box(each, clip.box, down, across) for each in pictures])
    return _tiled([pictures], GAP)


def segment(clip: BrowsedClip, number: int) -> np.ndarray:
    """Returns one segment's crops; below, between each two of them, how they differ from grey."""
    frames_per_segment = clip.indices.shape[1]
    start = number * frames_per_segment
    frames = clip.clip[start : start + frames_per_segment]
    differences = np.diff(frames.astype(np.int16), axis=0)
    shown = np.clip(GREY + differences, 0, 255).astype(np.uint8)
    rows = [_scaled(each, CROP_WIDTH) for each in (frames, shown) if len(each)]
    return _tiled(rows, GAP, centred=True)


def sheet(clip: BrowsedClip) -> np.ndarray:
    """Returns the overview above all segments, two in a row."""
    segments = [segment(clip, number) for number in range(len(clip.indices))]
    pairs = [segments[place : place + 2] for place in range(0, len(segments), 2)]
    return _tiled([[overview(clip)], *pairs], 4 * GAP)


def _tiled(
    rows: Sequence[Sequence[np.ndarray] | np.ndarray], gap: int, centred: bool = False
) -> np.ndarray:
    """Returns one picture of rows of pictures, those of a row of one height."""
    widths = [sum(each.shape[1] + gap for each in row) - gap for row in rows]
    paper = Paper(sum(row[0].shape[0] + gap for row in rows) - gap, max(widths))
    top = 0
    for row, width in zip(rows, widths, strict=True):
        left = (max(widths) - width) // 2 if centred else 0
        for each in row:
            paper.picture(each, top, left)
            left += each.shape[1] + gap
        top += row[0].shape[0] + gap
    return paper.pixels


def _scaled(pictures: np.ndarray, width: int) -> np.ndarray:
    scale = min(width / pictures.shape[2], MAX_HEIGHT / pictures.shape[1])
    size = [max(1, round(side * scale)) for side in pictures.shape[1:3]]
    return np.stack([resized(each, *size) for each in pictures])


def _with_box(frame: np.ndarray, box: Sequence[int], down: float, across: float) -> np.ndarray:
    top, left, height, width = box
    upper, first = round(top * down), round(left * across)
    lower, last = round((top + height) * down) - 1, round((left + width) * across) - 1
    image = Image.fromarray(frame)
    corners = first, upper, max(first, last), max(upper, lower)
    ImageDraw.Draw(image).rectangle(corners, outline=BOX_COLOR, width=BOX_WIDTH)
    return np.asarray(image)


def _heading(clip: BrowsedClip, labels: Sequence[str] | None) -> str:
    # A mirrored clip may have another label than the record.
    return ", becomes ".join(
        f"class {label}" if labels is None or label is None else f"{labels[label]} ({label})"
        for label in dict.fromkeys((clip.record.label, clip.label))
    )


def _frame_range(indices: np.ndarray) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1:
        return f"{first}\u2013{last}"
    return ", ".join(str(int(index)) for index in indices)
