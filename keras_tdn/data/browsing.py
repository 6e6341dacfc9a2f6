"""Some clips of a data set as the model will see them, kept together with where they come from."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset import DatasetOptions
from keras_tdn.data.dataset.clip_sources import ClipSteps, clip_source
from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.decoding import Decoder
from keras_tdn.data.records import Record, RecordList
from keras_tdn.specs import ClipSpec


@dataclasses.dataclass(frozen=True, eq=False)
class BrowsedClip:
    """One clip, before and after the transforms.

    Args:
        record: Where it comes from.
        epoch: Epoch that it was drawn in.
        num_frames: Frames of the video; 0 if it cannot be read.
        indices: Frames chosen, of shape `(num_segments, frames_per_segment)`.
        frames: Those frames, uint8 of shape `(num_segments * frames_per_segment, height, width,
            3)`.
        clip: What the transforms make of them, uint8 of that rank.
        label: Label of the clip, which a mirrored one may have another of.
        box: `(top, left, height, width)` of the crop in the frames, where it is known.
        reason: Why there are no frames; empty if there are.
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
    """Makes the clips of some records, as `make_dataset` with the same arguments does.

    Use it to look before you train: at whether segments cover the action, crops keep it, frames
    are in order and labels are right. `write_page` and `write_sheets` show what comes back.

    Args:
        records: From `load_records` or `load_packed`.
        spec: The clip that the model takes.
        training: Whether to show training clips or validation clips.
        count: Records to look at, spread evenly over the list.
        epoch: Number of the epoch.
        seed: Seed of the data set.
        sampler: As for `make_dataset`.
        transforms: As for `make_dataset`.
        decoder: As for `make_dataset`.

    Returns:
        A list of `BrowsedClip`, in the order of the list of records.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> clips = browse_clips(load_records("train.txt"), ClipSpec(), count=4)
    >>> write_page(clips, "page.html")
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"`count` is a positive integer. Received: count={count!r}")
    options = DatasetOptions(training, 1, sampler, transforms, seed=seed, epoch=epoch)
    steps = options.steps(records, spec)
    transforms = steps.transforms
    rows = np.unique(np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int))
    seen = _Remembering(steps.sampler)
    whole = ClipSteps(seen, lambda inputs, seed: inputs, spec.num_frames)
    source = clip_source(records, whole, decoder, None)
    fields = source.fields
    clips = []
    for row in rows:
        record = records[int(row)]
        draw = tf.constant(record_seed(seed, epoch, record.index))
        values = {name: tf.constant(column[row]) for name, column in fields.items()}
        frames, label, reason = source.read(values, tf.constant(record.label), draw)
        clip, label = transforms((frames, label), draw)
        box = None
        if getattr(transforms, "crops_first", False):
            box = tuple(transforms.box(*frames.shape[1:3], draw).numpy().tolist())
        bad = reason.numpy().decode()
        indices = np.zeros((spec.num_segments, spec.frames_per_segment), np.int32)
        clips.append(
            BrowsedClip(
                record,
                epoch,
                0 if bad else seen.num_frames,
                indices if bad else seen.indices.reshape(indices.shape),
                frames.numpy(),
                clip.numpy(),
                int(label),
                box,
                bad,
            )
        )
    return clips


class _Remembering:
    """A sampler that remembers what it was asked and what it said."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self.num_frames = 0
        self.indices = np.zeros(0, np.int32)

    def __call__(self, num_frames: Any, seed: Any) -> Any:
        indices = self._sampler(num_frames, seed)
        self.num_frames, self.indices = int(num_frames), np.asarray(indices)
        return indices
