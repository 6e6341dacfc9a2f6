"""Clips of records inside a graph: video files, folders of JPEG frames, packed records."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.decoding import (
    Decoder,
    FrameSize,
    VideoDecodeError,
    VideoSource,
    get_decoder,
    read_frames_in_graph,
)
from keras_tdn.data.failures import FailureLog
from keras_tdn.data.jpeg_frames import (
    FrameFolder,
    FramePattern,
    decode_frame_files,
    frame_paths,
    scan_frame_folder,
)
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames
from keras_tdn.data.records import RecordList
from keras_tdn.limits import max_bytes, variable

# Pixels of the black frames that stand in for those of a bad record until it is dropped.
STAND_IN_SIDE = 64
# Listing a folder is waiting, on network disks for long.
SCAN_THREADS = 32
# Between names that do not count; no file name can hold it.
SEPARATOR = "/"
PATTERN_FIELDS = tuple(field.name for field in dataclasses.fields(FramePattern))
# In place of a folder that cannot be listed.
NOTHING = FrameFolder("", 1, FramePattern("", 1, "", 0))

UNREADABLE = "a frame is missing, or is not a JPEG picture of the same size as the others"
DAMAGED = "its packed record is damaged, or the shard is missing or cut short"

# A transformed clip, its label, and the reason why there is none: empty if all is well, else the
# clip is black.
ReadClip = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
# Values of `ClipSource.fields` for one record.
Fields = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """Records as a graph reads them.

    `fields` holds what is known of each record, in lists or arrays of one length. `read` makes the
    clip of one record of its fields, its label and the seed.
    """

    fields: Mapping[str, Any]
    read: Callable[[Fields, tf.Tensor, tf.Tensor], ReadClip]


@dataclasses.dataclass(frozen=True)
class ClipSteps:
    """How frames become a clip of `num_frames`; see `DatasetOptions`."""

    sampler: Any
    transforms: Any
    num_frames: int

    def stand_in(self) -> tf.Tensor:
        """Returns black frames, so that what follows finds the shape that it expects."""
        return tf.zeros((self.num_frames, STAND_IN_SIDE, STAND_IN_SIDE, 3), tf.uint8)

    def decode_and_transform(
        self,
        decode: Callable[..., tf.Tensor],
        inputs: tuple[tf.Tensor, ...],
        frame_size: tuple[tf.Tensor, tf.Tensor],
        reason_if_failed: str,
        label: tf.Tensor,
        seed: tf.Tensor,
    ) -> ReadClip:
        """Decodes no more than the window that the transforms start with, where they name it.

        `decode` makes frames of the inputs, and of a window behind them if there is one, in ops
        that may fail. Frames that would take more memory than a clip may are not decoded.
        """
        crops_first = getattr(self.transforms, "crops_first", False)
        if crops_first:
            window = self.transforms.box(*frame_size, seed)
            inputs, frame_size = (*inputs, window), (window[2], window[3])
        height, width = (tf.cast(side, tf.int64) for side in frame_size)

        def decoded() -> tuple[tf.Tensor, tf.Tensor]:
            failed = self.stand_in(), reason_if_failed
            return _result_or_else(lambda *values: (decode(*values), ""), inputs, failed)

        def too_large() -> tuple[tf.Tensor, tf.Tensor]:
            reason = (
                f"{self.num_frames} frames of {{}}x{{}} pixels would take more memory than one "
                f"clip may. To allow it, raise the environment variable {variable('clip')}."
            )
            return self.stand_in(), tf.strings.format(reason, (height, width))

        fits = 3 * self.num_frames * height * width <= max_bytes("clip")
        frames, reason = tf.cond(fits, decoded, too_large)
        frames.set_shape([self.num_frames, None, None, 3])
        transform = self.transforms.finish if crops_first else self.transforms
        clip, label = transform((frames, label), seed)
        return clip, label, reason


def _result_or_else(function: Callable[..., Any], inputs: Any, otherwise: Any) -> Any:
    """Returns what the function makes of the inputs, or something else if one of its ops fails."""
    # A failing op would end the pipeline. Only tf.data can continue after one.
    result = tf.data.Dataset.from_tensors(inputs).map(function).ignore_errors()
    return result.concatenate(tf.data.Dataset.from_tensors(otherwise)).take(1).get_single_element()


def clip_source(
    records: RecordList, steps: ClipSteps, decoder: str | Decoder, failures: FailureLog | None
) -> ClipSource:
    """Returns the source for the kind of records given; a `ValueError` if kinds are mixed."""
    if isinstance(records, PackedRecordList):
        return _packed_clips(records, steps)
    folders = [os.path.isdir(record.path) for record in records]
    if all(folders):
        return _folder_clips(records, steps)
    if any(folders):
        folder, file = folders.index(True), folders.index(False)
        raise ValueError(
            "A data set's records are all of one kind, but here some are folders of frames "
            f"({records[folder].path!r}) and others files ({records[file].path!r}). Make a data "
            "set of each kind, and mix them with `tf.data.Dataset.sample_from_datasets`."
        )
    if isinstance(decoder, str):
        # One thread each, because videos are decoded side by side.
        decoder = get_decoder(decoder, num_threads=1)
    decoder = decoder if failures is None else _TryingOnce(decoder, failures)
    return _video_clips(records, steps, decoder)


def _packed_clips(records: PackedRecordList, steps: ClipSteps) -> ClipSource:
    """Clips out of packed records, in the order of the data set and not in that of the shards."""

    def read(record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        inputs = record["shard"], record["offset"], steps.sampler(record["num_frames"], seed)
        size = record["height"], record["width"]
        return steps.decode_and_transform(decode_packed_frames, inputs, size, DAMAGED, label, seed)

    return ClipSource(records.columns(), read)


def _video_clips(records: RecordList, steps: ClipSteps, decoder: Decoder) -> ClipSource:
    def read(record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        frames, reason = read_frames_in_graph(record["path"], steps.sampler, seed, decoder=decoder)
        frames = tf.cond(tf.equal(reason, ""), lambda: frames, steps.stand_in)
        frames.set_shape([steps.num_frames, None, None, 3])
        clip, label = steps.transforms((frames, label), seed)
        return clip, label, reason

    # As bytes, because a file name need not be text.
    return ClipSource({"path": [os.fsencode(record.path) for record in records]}, read)


class _TryingOnce:
    """A decoder that refuses what failed before."""

    def __init__(self, decoder: Decoder, failures: FailureLog) -> None:
        self._decoder, self._failures = decoder, failures

    def read_frames(
        self, source: VideoSource, choose_indices: Callable[[int], Any], size: FrameSize = None
    ) -> np.ndarray:
        known = self._failures.reason(str(source))
        if known is not None:
            raise VideoDecodeError(known)
        return self._decoder.read_frames(source, choose_indices, size)


def _folder_clips(records: RecordList, steps: ClipSteps) -> ClipSource:
    """Clips out of folders of JPEG frames, which are all listed now to know how long they are."""
    with ThreadPoolExecutor(SCAN_THREADS) as pool:
        folders, reasons = zip(*pool.map(_scan, (record.path for record in records)), strict=True)
    fields: dict[str, Any] = {
        "directory": [os.fsencode(folder.directory) for folder in folders],
        "length": [folder.num_frames for folder in folders],
        "names": [os.fsencode(SEPARATOR.join(folder.names)) for folder in folders],
        "reason": reasons,
    }
    for field in PATTERN_FIELDS:
        values = [getattr(folder.pattern or NOTHING.pattern, field) for folder in folders]
        fields[field] = [os.fsencode(each) if isinstance(each, str) else each for each in values]

    def read(record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        indices = tf.reshape(steps.sampler(record["length"], seed), [-1])

        def named() -> tf.Tensor:
            names = tf.gather(tf.strings.split(record["names"], SEPARATOR), indices)
            return tf.strings.join([record["directory"], "/", names])

        def numbered() -> tf.Tensor:
            pattern = (record[field] for field in PATTERN_FIELDS)
            return frame_paths(record["directory"], indices, *pattern)

        paths = tf.cond(tf.equal(record["names"], ""), numbered, named)
        paths.set_shape([steps.num_frames])
        clip, label, reason = steps.decode_and_transform(
            decode_frame_files, (paths,), _frame_size(paths[0]), UNREADABLE, label, seed
        )
        return clip, label, tf.where(tf.equal(record["reason"], ""), reason, record["reason"])

    return ClipSource(fields, read)


def _scan(path: str) -> tuple[FrameFolder, str]:
    try:
        return scan_frame_folder(path), ""
    except ValueError as error:
        return NOTHING, str(error)


def _frame_size(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns height and width out of a JPEG's header; those of any square if there is none."""

    def read(path: tf.Tensor) -> tf.Tensor:
        return tf.io.extract_jpeg_shape(tf.io.read_file(path))[:2]

    size = _result_or_else(read, path, tf.constant([STAND_IN_SIDE, STAND_IN_SIDE]))
    return size[0], size[1]
