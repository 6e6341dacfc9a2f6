"""All views of a video out of one decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.decoding import VideoDecodeError
from keras_tdn.data.records import Record
from keras_tdn.data.segment_sampling import SamplingMode, SegmentSampler
from keras_tdn.data.transforms.crop_sets import (
    CropSet,
    OneCrop,
    TenCrops,
    ThreeCrops,
    crops_of_array,
)
from keras_tdn.evaluation.frame_reading import FrameReader
from keras_tdn.limits import max_bytes
from keras_tdn.specs import ClipSpec, ViewSpec

# What is drawn for evaluation is drawn once: there are no epochs.
EPOCH = 0


@dataclasses.dataclass(frozen=True, eq=False)
class VideoViews:
    """The views of one video, clip by clip, in each clip crop by crop.

    Clips share frames, so that pixels are kept per frame, and a view is put together when it is
    asked for: thirty views of 40 frames of 256 x 256 pixels would take 236 MB.

    Args:
        crops: For each crop the frames that the clips need, uint8 of shape
            `(distinct frames, height, width, 3)`. They may share memory.
        positions: Where each clip's frames lie among them, of shape `(num_clips, frames of a
            clip)`.
    """

    crops: Sequence[np.ndarray]
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions) * len(self.crops)

    def view(self, number: int) -> np.ndarray:
        """One view, uint8 of shape `(frames, height, width, 3)`."""
        clip, crop = divmod(number, len(self.crops))
        return self.crops[crop][self.positions[clip]]


class ViewReader:
    """Reads the views of records, each video decoded once for all of them.

    Where the frames would take more memory than one clip may (`keras_tdn.limits`), a video is
    decoded in as many parts as it takes.

    Args:
        frames: Reads frames of the records.
        records: The records.
        views: Which views.
        clip_spec: The clip that the model takes.
        seed: What random clips are drawn from, together with a record's `index`.

    Example:

    >>> reader = ViewReader(FrameReader(records), records, ViewSpec(10, 3), model.clip_spec)
    >>> len(reader.read(0))
    30
    """

    def __init__(
        self,
        frames: FrameReader,
        records: Sequence[Record],
        views: ViewSpec,
        clip_spec: ClipSpec,
        seed: int = 0,
    ) -> None:
        self._frames = frames
        self._records = records
        self._views = views
        self._seed = seed
        mode: SamplingMode = "dense" if views.clip_mode == "dense" else "center"
        self._sampler = SegmentSampler(clip_spec.num_segments, clip_spec.frames_per_segment, mode)
        self._crop_set = crop_set_of(views, clip_spec)

    def read(self, row: int) -> VideoViews:
        """The views of the record in that row of the list.

        Raises:
            ValueError: if it cannot be read.
        """
        try:
            return self._read_clips(row, range(self._views.num_clips))
        except VideoDecodeError:
            clips = self._clips_by_part(row)
            if len(clips) == 1:
                raise
        parts = [self._read_clips(row, part) for part in clips]
        starts = np.cumsum([0, *(len(part.crops[0]) for part in parts[:-1])])
        return VideoViews(
            [np.concatenate(crops) for crops in zip(*(part.crops for part in parts), strict=True)],
            np.concatenate(
                [part.positions + start for part, start in zip(parts, starts, strict=True)]
            ),
        )

    def clip_indices(self, row: int, num_frames: int) -> np.ndarray:
        """Frames of every clip of that record, int32 of shape `(num_clips, frames of a clip)`."""
        random = self._views.clip_mode == "random"
        seed = record_seed(self._seed, EPOCH, self._records[row].index) if random else None
        clips = self._sampler.sample_clips(
            num_frames, self._views.num_clips, "random" if random else "uniform", seed
        )
        return clips.reshape(len(clips), -1)

    def _read_clips(self, row: int, clips: Sequence[int]) -> VideoViews:
        positions: Any = None

        def choose(num_frames: int) -> np.ndarray:
            nonlocal positions
            chosen = self.clip_indices(row, num_frames)[clips]
            distinct, inverse = np.unique(chosen, return_inverse=True)
            # NumPy 1 flattens what it returns here.
            positions = inverse.reshape(chosen.shape)
            return distinct

        frames = self._frames.read(row, choose)
        # Elsewhere the accelerator would be given work, and memory, that the model needs.
        with tf.device("CPU:0"):
            crops = crops_of_array(self._crop_set, frames)
        return VideoViews(crops, positions)

    def _clips_by_part(self, row: int) -> list[list[int]]:
        """Clips that fit the memory allowed together; all of them if that was not the problem."""
        num_clips = self._views.num_clips
        clips = np.zeros((0, 0), np.int64)

        def choose(num_frames: int) -> np.ndarray:
            nonlocal clips
            clips = self.clip_indices(row, num_frames)
            return np.zeros(1, np.int64)

        frame_bytes = self._frames.read(row, choose).nbytes
        for num_parts in range(1, num_clips + 1):
            parts = np.array_split(np.arange(num_clips), num_parts)
            most = max(len(np.unique(clips[part])) for part in parts)
            if most * frame_bytes <= max_bytes("clip"):
                break
        return [part.tolist() for part in parts]


def crop_set_of(views: ViewSpec, clip_spec: ClipSpec) -> CropSet:
    """The crops that the views ask for."""
    height, width = views.crop_size_of(clip_spec)
    short_side = clip_spec.short_side
    if views.num_crops == 3:
        return ThreeCrops(height, width, short_side, views.always_across)
    kind: Callable[..., CropSet] = OneCrop if views.num_crops == 1 else TenCrops
    return kind(height, width, short_side)
