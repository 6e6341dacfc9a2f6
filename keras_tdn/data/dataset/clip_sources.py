"""Sources of clips inside a graph: one class for each kind of record."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

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
# A transformed clip, its label, and the reason why there is none: empty if all is well, else the
# clip is black.
ReadClip = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
# Values of `ClipSource.fields` for one record.
Fields = Mapping[str, tf.Tensor]


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
            # A failing op would end the pipeline. Only tf.data can continue after one.
            fine = tf.data.Dataset.from_tensors(inputs).map(lambda *values: (decode(*values), ""))
            failed = tf.data.Dataset.from_tensors((self.stand_in(), reason_if_failed))
            return fine.ignore_errors().concatenate(failed).take(1).get_single_element()

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


class ClipSource(Protocol):
    """Reads the frames that a sampler chooses, and transforms them.

    `fields` holds what `read` needs to know of each record: tensors or arrays whose first axis is
    that of the records.
    """

    @property
    def fields(self) -> Mapping[str, Any]: ...

    def read(self, record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        """Returns the clip of the record that has these fields."""
        ...


class VideoClips:
    """Clips out of video files, through a decoder in this process; a bad one is tried once."""

    def __init__(
        self, records: RecordList, steps: ClipSteps, decoder: Decoder, failures: FailureLog | None
    ) -> None:
        # As bytes, because a file name need not be text.
        self.fields = {"path": [os.fsencode(record.path) for record in records]}
        self._steps = steps
        self._decoder = decoder if failures is None else _TryingOnce(decoder, failures)

    def read(self, record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        steps = self._steps
        frames, reason = read_frames_in_graph(
            record["path"], steps.sampler, seed, decoder=self._decoder
        )
        frames = tf.cond(tf.equal(reason, ""), lambda: frames, steps.stand_in)
        frames.set_shape([steps.num_frames, None, None, 3])
        clip, label = steps.transforms((frames, label), seed)
        return clip, label, reason


class _TryingOnce:
    """A decoder that refuses what failed before."""

    def __init__(self, decoder: Decoder, failures: FailureLog) -> None:
        self._decoder = decoder
        self._failures = failures

    def read_frames(
        self, source: VideoSource, choose_indices: Callable[[int], Any], size: FrameSize = None
    ) -> np.ndarray:
        known = self._failures.reason(str(source))
        if known is not None:
            raise VideoDecodeError(known)
        return self._decoder.read_frames(source, choose_indices, size)


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
    """

    def __init__(self, records: RecordList, steps: ClipSteps) -> None:
        self._steps = steps
        with ThreadPoolExecutor(SCAN_THREADS) as pool:
            scans = list(pool.map(_scan, (record.path for record in records)))
        folders = [folder for folder, _ in scans]
        self.fields: dict[str, Any] = {
            "directory": [os.fsencode(folder.directory) for folder in folders],
            "length": [folder.num_frames for folder in folders],
            "names": [os.fsencode(SEPARATOR.join(folder.names)) for folder in folders],
            "reason": [reason for _, reason in scans],
        }
        for field in PATTERN_FIELDS:
            values = [getattr(folder.pattern or NOTHING.pattern, field) for folder in folders]
            self.fields[field] = [
                os.fsencode(value) if isinstance(value, str) else value for value in values
            ]

    def read(self, record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        indices = tf.reshape(self._steps.sampler(record["length"], seed), [-1])
        pattern = [record[field] for field in PATTERN_FIELDS]
        paths = tf.cond(
            tf.equal(record["names"], ""),
            lambda: frame_paths(record["directory"], indices, *pattern),
            lambda: _named_paths(record, indices),
        )
        paths.set_shape([self._steps.num_frames])
        clip, label, reason = self._steps.decode_and_transform(
            decode_frame_files, (paths,), _frame_size(paths[0]), UNREADABLE, label, seed
        )
        return clip, label, tf.where(tf.equal(record["reason"], ""), reason, record["reason"])


def _scan(path: str) -> tuple[FrameFolder, str]:
    """Lists a folder; returns why it cannot be listed, or nothing."""
    try:
        return scan_frame_folder(path), ""
    except ValueError as error:
        return NOTHING, str(error)


def _named_paths(record: Fields, indices: tf.Tensor) -> tf.Tensor:
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


DAMAGED = "its packed record is damaged, or the shard is missing or cut short"


class PackedClips:
    """Clips out of packed records, in the order of the data set and not in that of the shards."""

    def __init__(self, records: PackedRecordList, steps: ClipSteps) -> None:
        self.fields, self._steps = records.columns(), steps

    def read(self, record: Fields, label: tf.Tensor, seed: tf.Tensor) -> ReadClip:
        indices = self._steps.sampler(record["num_frames"], seed)
        place = record["shard"], record["offset"], indices
        size = record["height"], record["width"]
        return self._steps.decode_and_transform(
            decode_packed_frames, place, size, DAMAGED, label, seed
        )


def clip_source(
    records: RecordList, steps: ClipSteps, decoder: str | Decoder, failures: FailureLog | None
) -> ClipSource:
    """Returns the source for the kind of records given.

    Raises:
        ValueError: if some are folders and others files.
    """
    if isinstance(records, PackedRecordList):
        return PackedClips(records, steps)
    folders = [os.path.isdir(record.path) for record in records]
    if all(folders):
        return FolderClips(records, steps)
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
    return VideoClips(records, steps, decoder, failures)
