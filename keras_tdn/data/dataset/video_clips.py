"""Clips out of video files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset.clip_source import stand_in
from keras_tdn.data.decoding import (
    Decoder,
    FrameSize,
    VideoDecodeError,
    VideoSource,
    read_frames_in_graph,
)
from keras_tdn.data.failures import FailureLog
from keras_tdn.data.records import RecordList


class VideoClips:
    """Clips out of video files, through a decoder in this process.

    Args:
        records: Records whose paths are video files.
        sampler: Chooses frames.
        transforms: Makes `(clip, label)` of `(frames, label)` and a seed.
        num_frames: Frames in a clip.
        decoder: What reads videos.
        failures: Tells which videos are known to be bad, so that none is tried twice.
    """

    def __init__(
        self,
        records: RecordList,
        sampler: Any,
        transforms: Any,
        num_frames: int,
        decoder: Decoder,
        failures: FailureLog | None,
    ) -> None:
        # As bytes, because a file name need not be text.
        self._paths = [os.fsencode(record.path) for record in records]
        self._sampler = sampler
        self._transforms = transforms
        self._num_frames = num_frames
        self._decoder = decoder if failures is None else _TryingOnce(decoder, failures)

    @property
    def fields(self) -> Mapping[str, Any]:
        return {"path": self._paths}

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        frames, reason = read_frames_in_graph(
            record["path"], self._sampler, seed, decoder=self._decoder
        )
        frames = tf.cond(tf.equal(reason, ""), lambda: frames, lambda: stand_in(self._num_frames))
        frames.set_shape([self._num_frames, None, None, 3])
        clip, label = self._transforms((frames, label), seed)
        return clip, label, reason


class _TryingOnce:
    """A decoder that refuses what has failed before."""

    def __init__(self, decoder: Decoder, failures: FailureLog) -> None:
        self._decoder = decoder
        self._failures = failures

    def read_frames(
        self,
        source: VideoSource,
        choose_indices: Callable[[int], Any],
        size: FrameSize = None,
    ) -> np.ndarray:
        known = self._failures.reason(str(source))
        if known is not None:
            raise VideoDecodeError(known)
        return self._decoder.read_frames(source, choose_indices, size)
