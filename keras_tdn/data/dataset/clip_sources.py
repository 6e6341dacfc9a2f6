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


@dataclasses.dataclass(frozen=True)
class ClipSteps:
    """How frames become a clip.

    Args:
        sampler: Chooses frames: called with the number of frames and a seed.
        transforms: Makes `(clip, label)` of `(frames, label)` and a seed.
        num_frames: Frames in a clip.
    """

    sampler: Any
    transforms: Any
    num_frames: int


class ClipSource(Protocol):
    """Reads the frames that a sampler chooses, and transforms them.

    `fields` holds what `read` needs to know of each record: tensors or arrays whose first axis is
    that of the records. `read` gets their values for one record, and gives the transformed
    `(clip, label)` and the reason why there is none: empty if all is well, else the clip is black.
    """

    @property
    def fields(self) -> Mapping[str, Any]:
        """Tensors or arrays with one entry per record on the first axis."""
        ...

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns clip, label and reason."""
        ...


def stand_in(num_frames: int) -> tf.Tensor:
    """Returns black frames, so that what follows finds the shape that it expects."""
    return tf.zeros((num_frames, STAND_IN_SIDE, STAND_IN_SIDE, 3), tf.uint8)


def frames_or_stand_in(
    decode: Callable[..., tf.Tensor],
    inputs: tuple[tf.Tensor, ...],
    num_frames: int,
    reason_if_failed: str,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the frames that ops decode, and the reason if one of the ops fails.

    A failing op would end the pipeline. Only tf.data can continue after one, so a data set of
    one element is made here.
    """
    fine = tf.data.Dataset.from_tensors(inputs).map(lambda *values: (decode(*values), ""))
    failed = tf.data.Dataset.from_tensors((stand_in(num_frames), reason_if_failed))
    frames, reason = fine.ignore_errors().concatenate(failed).take(1).get_single_element()
    frames.set_shape([num_frames, None, None, 3])
    return frames, reason


def transform_frames(
    steps: ClipSteps,
    decode: Callable[[Any], tuple[tf.Tensor, tf.Tensor]],
    frame_size: Callable[[], tuple[tf.Tensor, tf.Tensor]],
    label: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decodes no more than the window that the transforms start with, where they name it.

    Frames that would take more memory than a clip may are not decoded.
    """
    transforms, num_frames = steps.transforms, steps.num_frames
    crops_first = getattr(transforms, "crops_first", False)
    size, window = frame_size(), None
    if crops_first:
        window = transforms.box(*size, seed)
        size = window[2], window[3]
    height, width = (tf.cast(side, tf.int64) for side in size)

    def too_large() -> tuple[tf.Tensor, tf.Tensor]:
        reason = tf.strings.format(
            f"{num_frames} frames of {{}}x{{}} pixels would take more memory than one clip may. To "
            f"allow it, raise the environment variable {variable('clip')}.",
            (height, width),
        )
        return stand_in(num_frames), reason

    fits = 3 * num_frames * height * width <= max_bytes("clip")
    frames, reason = tf.cond(fits, lambda: decode(window), too_large)
    frames.set_shape([num_frames, None, None, 3])
    finish = transforms.finish if crops_first else transforms
    clip, label = finish((frames, label), seed)
    return clip, label, reason


class VideoClips:
    """Clips out of video files, through a decoder in this process.

    Args:
        records: Records whose paths are video files.
        steps: How frames become a clip.
        decoder: What reads videos.
        failures: Knows which videos are bad, so that none is tried twice.
    """

    def __init__(
        self,
        records: RecordList,
        steps: ClipSteps,
        decoder: Decoder,
        failures: FailureLog | None,
    ) -> None:
        # As bytes, because a file name need not be text.
        self._paths = [os.fsencode(record.path) for record in records]
        self._steps = steps
        self._decoder = decoder if failures is None else _TryingOnce(decoder, failures)

    @property
    def fields(self) -> Mapping[str, Any]:
        return {"path": self._paths}

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        frames, reason = read_frames_in_graph(
            record["path"], self._steps.sampler, seed, decoder=self._decoder
        )
        frames = tf.cond(
            tf.equal(reason, ""), lambda: frames, lambda: stand_in(self._steps.num_frames)
        )
        frames.set_shape([self._steps.num_frames, None, None, 3])
        clip, label = self._steps.transforms((frames, label), seed)
        return clip, label, reason


class _TryingOnce:
    """A decoder that refuses what failed before."""

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
        steps: How frames become a clip.
    """

    def __init__(self, records: RecordList, steps: ClipSteps) -> None:
        with ThreadPoolExecutor(SCAN_THREADS) as pool:
            scans = list(pool.map(_scan, (record.path for record in records)))
        self._scans, self._steps = scans, steps

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
        indices = tf.reshape(self._steps.sampler(record["length"], seed), [-1])
        paths = tf.cond(
            tf.equal(record["names"], ""),
            lambda: frame_paths(
                record["directory"],
                indices,
                *(record[field] for field in PATTERN_FIELDS),
            ),
            lambda: _named_paths(record, indices),
        )
        paths.set_shape([self._steps.num_frames])

        def decode(window: Any) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = (paths,) if window is None else (paths, window)
            return frames_or_stand_in(
                decode_frame_files, inputs, self._steps.num_frames, UNREADABLE
            )

        clip, label, reason = transform_frames(
            self._steps,
            decode,
            lambda: _frame_size(paths[0]),
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


DAMAGED = "its packed record is damaged, or the shard is missing or cut short"


class PackedClips:
    """Clips out of packed records, in the order of the data set and not in that of the shards.

    Args:
        records: Packed records.
        steps: How frames become a clip.
    """

    def __init__(self, records: PackedRecordList, steps: ClipSteps) -> None:
        self._records, self._steps = records, steps

    @property
    def fields(self) -> Mapping[str, Any]:
        return self._records.columns()

    def read(
        self, record: Mapping[str, tf.Tensor], label: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        indices = self._steps.sampler(record["num_frames"], seed)
        place = record["shard"], record["offset"], indices

        def decode(window: Any) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = place if window is None else (*place, window)
            return frames_or_stand_in(decode_packed_frames, inputs, self._steps.num_frames, DAMAGED)

        return transform_frames(
            self._steps,
            decode,
            lambda: (record["height"], record["width"]),
            label,
            seed,
        )


def clip_source(
    records: RecordList,
    steps: ClipSteps,
    decoder: str | Decoder,
    failures: FailureLog | None,
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
