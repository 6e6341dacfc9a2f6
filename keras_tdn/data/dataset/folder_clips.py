"""Clips out of folders of JPEG frames, in the graph alone."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from keras_tdn.data.dataset.clip_source import frames_or_stand_in, transform_frames
from keras_tdn.data.frame_folders import FrameFolder, FramePattern, frame_paths, scan_frame_folder
from keras_tdn.data.jpeg_frames import decode_frame_files
from keras_tdn.data.records import RecordList

# Listing a folder is waiting, on network disks for long.
SCAN_THREADS = 32
# Between names that do not count; no file name can hold it.
SEPARATOR = "/"

UNREADABLE = "a frame is missing, or is not a JPEG picture of the same size as the others"

PATTERN_FIELDS = tuple(field.name for field in dataclasses.fields(FramePattern))
# In place of a folder that cannot be listed.
NOTHING = FrameFolder("", 1, FramePattern("", 1, "", 0))


class FolderClips:
    """Clips out of folders of JPEG frames.

    All folders are listed when this is made, because the number of frames is that of the files.

    Args:
        records: Records whose paths are folders.
        sampler: Chooses frames.
        transforms: Makes `(clip, label)` of `(frames, label)` and a seed.
        num_frames: Frames in a clip.
    """

    def __init__(self, records: RecordList, sampler: Any, transforms: Any, num_frames: int) -> None:
        with ThreadPoolExecutor(SCAN_THREADS) as pool:
            scans = list(pool.map(_scan, (record.path for record in records)))
        self._scans = scans
        self._sampler = sampler
        self._transforms = transforms
        self._num_frames = num_frames

    @property
    def fields(self) -> Mapping[str, Any]:
        folders = [scan if isinstance(scan, FrameFolder) else NOTHING for scan in self._scans]
        columns: dict[str, Any] = {
            "directory": [os.fsencode(folder.directory) for folder in folders],
            "length": [folder.num_frames for folder in folders],
            "names": [os.fsencode(SEPARATOR.join(folder.names)) for folder in folders],
            "reason": ["" if isinstance(scan, FrameFolder) else scan for scan in self._scans],
        }
        for field in PATTERN_FIELDS:
            values = [getattr(folder.pattern or NOTHING.pattern, field) for folder in folders]
            columns[field] = [
                os.fsencode(value) if isinstance(value, str) else value for value in values
            ]
        return columns

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        indices = tf.reshape(self._sampler(record["length"], seed), [-1])
        paths = tf.cond(
            tf.equal(record["names"], ""),
            lambda: frame_paths(
                record["directory"],
                indices,
                *(record[field] for field in PATTERN_FIELDS),
            ),
            lambda: _named_paths(record, indices),
        )
        paths.set_shape([self._num_frames])

        def decode(window: Any) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = (paths,) if window is None else (paths, window)
            return frames_or_stand_in(decode_frame_files, inputs, self._num_frames, UNREADABLE)

        clip, label, reason = transform_frames(
            self._transforms,
            decode,
            lambda: _frame_size(paths[0]),
            self._num_frames,
            label,
            seed,
        )
        return clip, label, tf.where(tf.equal(record["reason"], ""), reason, record["reason"])


def _scan(path: str) -> FrameFolder | str:
    try:
        return scan_frame_folder(path)
    except ValueError as error:
        return str(error)


def _named_paths(record: Mapping[str, tf.Tensor], indices: tf.Tensor) -> tf.Tensor:
    names = tf.gather(tf.strings.split(record["names"], SEPARATOR), indices)
    return tf.strings.join([record["directory"], "/", names])


def _frame_size(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width out of the header; those of a square if there is none."""

    def read(path: tf.Tensor) -> tf.Tensor:
        return tf.io.extract_jpeg_shape(tf.io.read_file(path))[:2]

    sizes = tf.data.Dataset.from_tensors(path).map(read).ignore_errors()
    any_size = tf.data.Dataset.from_tensors(tf.constant([64, 64]))
    size = sizes.concatenate(any_size).take(1).get_single_element()
    return size[0], size[1]
