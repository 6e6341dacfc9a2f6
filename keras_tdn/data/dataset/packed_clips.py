"""Clips out of packed records, in the graph alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_tdn.data.dataset.clip_source import frames_or_stand_in, transform_frames
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames

DAMAGED = "its packed record is damaged, or the shard is missing or cut short"


class PackedClips:
    """Clips out of packed records, in the order of the data set and not in that of the shards.

    Args:
        records: Packed records.
        sampler: Chooses frames.
        transforms: Makes `(clip, label)` of `(frames, label)` and a seed.
        num_frames: Frames in a clip.
    """

    def __init__(
        self, records: PackedRecordList, sampler: Any, transforms: Any, num_frames: int
    ) -> None:
        self._records = records
        self._sampler = sampler
        self._transforms = transforms
        self._num_frames = num_frames

    @property
    def fields(self) -> Mapping[str, Any]:
        return self._records.columns()

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        indices = self._sampler(record["num_frames"], seed)
        place = record["shard"], record["offset"], indices

        def decode(window: Any) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = place if window is None else (*place, window)
            return frames_or_stand_in(decode_packed_frames, inputs, self._num_frames, DAMAGED)

        return transform_frames(
            self._transforms,
            decode,
            lambda: (record["height"], record["width"]),
            self._num_frames,
            label,
            seed,
        )
