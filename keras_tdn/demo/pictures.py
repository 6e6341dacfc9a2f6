"""The pictures on the page of a demo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_tdn import html
from keras_tdn.data import SegmentSampler
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.records import RecordList
from keras_tdn.specs import ClipSpec

PICTURES_IN_A_STRIP = 9
HEIGHT = 72
# Differences of neighbouring frames are weak to the eye.
GAIN = 2
GREY = 127


def class_strips(records: RecordList, decoder: Any) -> Iterator[tuple[str, str]]:
    """For each class its label, and frames of its first video."""
    for number, label in enumerate(records.labels or ()):
        record = next((record for record in records if record.label == number), None)
        if record is not None:
            frames = decoder.read_frames(record.path, np.arange)
            yield label, video_strip(frames, f"a video of {label}")


def video_strip(frames: np.ndarray, description: str) -> str:
    """Frames at equal steps, from the first to the last."""
    chosen = np.linspace(0, len(frames) - 1, PICTURES_IN_A_STRIP).round().astype(int)
    return html.picture_strip(list(frames[chosen]), description, height=HEIGHT)


def segment_and_differences(
    frames: np.ndarray, spec: ClipSpec
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The second segment's frames as a model sees them, and what changes from one to the next.

    Args:
        frames: uint8 of shape `(num_frames, height, width, 3)`.
        spec: How clips are cut.

    Returns:
        Two lists of pictures; the second is one shorter.
    """
    sampler = SegmentSampler(spec.num_segments, spec.frames_per_segment, mode="center")
    indices = sampler(len(frames))[min(1, spec.num_segments - 1)]
    segment = resize_and_center_crop(frames[indices], spec)
    changes = np.diff(segment.astype(np.int32), axis=0)
    differences = np.clip(GREY + GAIN * changes, 0, 255).astype(np.uint8)
    return list(segment), list(differences)
