"""The centre clip of one video, without TensorFlow: for `predict_video`, `explain`, the client."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_tdn.data.frame_transforms import check_frames, resize_and_center_crop
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource


@dataclasses.dataclass(frozen=True, eq=False)
class CenterClip:
    """A centre clip and where it was cut."""

    # uint8 of shape `(frames, height, width, 3)`.
    pixels: np.ndarray
    # Frame numbers, from 0, of shape `(num_segments, frames_per_segment)`.
    indices: np.ndarray
    # Frames of the whole video.
    num_frames: int


def read_center_clip(
    source: VideoSource | np.ndarray, spec: ClipSpec, *, crop: bool = True
) -> CenterClip:
    """Reads centre-sampled segments of a video and, with `crop`, cuts the centre out of frames."""
    sampler = SegmentSampler(spec.num_segments, spec.frames_per_segment)
    num_frames = 0

    def choose(count: int) -> np.ndarray:
        nonlocal num_frames
        # It is called again if the video turns out to be shorter than its header says.
        num_frames = count
        return sampler(count).ravel()

    if isinstance(source, np.ndarray):
        check_frames(source)
        frames = source[choose(len(source))]
    else:
        # Imported here so that importing this does not load the decoder.
        from keras_tdn.data.decoding import read_frames

        frames = read_frames(source, choose)
    pixels = resize_and_center_crop(frames, spec) if crop else frames
    return CenterClip(pixels, sampler(num_frames), num_frames)
