"""From a record to its views, all out of one decoding."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.dataset.clip_sources import DAMAGED, UNREADABLE
from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.decoding import VideoDecodeError, get_decoder
from keras_tdn.data.decoding.interface import check_clip_bytes
from keras_tdn.data.jpeg_frames import decode_frame_files, scan_frame_folder
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames
from keras_tdn.data.records import Record, RecordList
from keras_tdn.data.segment_sampling import SamplingMode, SegmentSampler
from keras_tdn.data.transforms import crop_sets
from keras_tdn.gpus import leave_gpus_to_backend
from keras_tdn.limits import max_bytes
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.specs import ClipSpec, ViewSpec
from keras_tdn.worker_pool import LostTaskError, WorkerPool, use_tensorflow_on_one_core

ChooseIndices = Callable[[int], np.ndarray]
ReadFrames = Callable[[ChooseIndices], np.ndarray]

# What the system says when it, a disk or a network has a problem that no other file would be
# without. Not every system has all of them.
_NAMES = (
    *("EAGAIN", "EDQUOT", "EHOSTDOWN", "EHOSTUNREACH", "EIO", "EMFILE", "ENETDOWN", "ENETUNREACH"),
    *("ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "ENOTCONN", "ESTALE", "ETIMEDOUT"),
)
PASSING_ERRORS = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))
AMBIGUOUS = frozenset({errno.EAGAIN, errno.EIO, errno.ENOMEM})
# A process may be ended for want of memory; that it was the video's fault, the second one shows.
DEATHS_PER_VIDEO = 2


@dataclasses.dataclass(frozen=True, eq=False)
class VideoViews:
    """The views of one video, clip by clip, in each clip crop by crop.

    Pixels are kept per frame, because clips share frames: thirty views would take 236 MB.
    """

    # Of each crop the frames that the clips need, uint8 `(distinct frames, height, width, 3)`.
    crops: Sequence[np.ndarray]
    # Where each clip's frames lie among them, of shape `(num_clips, frames of a clip)`.
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions) * len(self.crops)

    def view(self, number: int) -> np.ndarray:
        """One view, uint8 of shape `(frames, height, width, 3)`."""
        clip, crop = divmod(number, len(self.crops))
        return self.crops[crop][self.positions[clip]]


class FrameReader:
    """Reads chosen frames of records: video files, folders of JPEG frames, packed records."""

    def __init__(self, records: Sequence[Record] = (), decoder: Any = "pyav") -> None:
        leave_gpus_to_backend()
        self._records = records
        self._columns = records.columns() if isinstance(records, PackedRecordList) else None
        # As graphs, because op by op a frame takes longer to call for than to decode.
        paths = [tf.TensorSpec([None], tf.string)]
        self._decode_files = tf.function(decode_frame_files, input_signature=paths)
        inputs = (((), tf.string), ((), tf.int64), ((None,), tf.int64))
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in inputs]
        self._decode_packed = tf.function(decode_packed_frames, input_signature=specs)
        # One thread each, because videos are decoded side by side.
        self._decoder = get_decoder(decoder, 1) if isinstance(decoder, str) else decoder

    def read(self, row: int, choose_indices: ChooseIndices) -> np.ndarray:
        """Returns frames of the record in that row, uint8 `(frames, height, width, 3)`.

        `choose_indices` is called with the number of frames, and returns zero-based indices, each
        once; it is called again if damage shows up while decoding. Raises a `ValueError`.
        """
        path = self._records[row].path
        if self._columns is None:
            return self.read_path(path, choose_indices)
        record: dict[str, Any] = {name: values[row] for name, values in self._columns.items()}
        indices = np.asarray(choose_indices(int(record["num_frames"])), np.int64)
        with _in_words(path, DAMAGED):
            _check_frame_bytes(path, len(indices), record["height"], record["width"])
            return self._decode_packed(record["shard"], record["offset"], indices).numpy()

    def read_path(self, path: str, choose_indices: ChooseIndices) -> np.ndarray:
        """Frames of a video file or a folder of frames; see `read`."""
        if not os.path.isdir(path):
            return self._decoder.read_frames(path, choose_indices)
        paths = scan_frame_folder(path).paths
        chosen = [paths[index] for index in choose_indices(len(paths))]
        with _in_words(path, UNREADABLE):
            height, width = tf.io.extract_jpeg_shape(tf.io.read_file(chosen[0])).numpy()[:2]
            _check_frame_bytes(path, len(chosen), height, width)
            return self._decode_files(chosen).numpy()


class ViewReader:
    """Reads the views of records; may be called from several threads.

    Each video is decoded once for all of them or, where its frames would take more memory than one
    clip may (`keras_tdn.limits`), in as many parts as it takes.
    """

    def __init__(
        self, options: ScoringOptions, clip_spec: ClipSpec, records: Sequence[Record] = ()
    ) -> None:
        self.frames = FrameReader(records, options.decoder)
        self._records = records
        self._views = options.views
        self._seed = options.seed
        mode: SamplingMode = "dense" if options.views.clip_mode == "dense" else "center"
        self._sampler = SegmentSampler(clip_spec.num_segments, clip_spec.frames_per_segment, mode)
        self._crop_set = crop_set_of(options.views, clip_spec)

    def read(self, record: Record) -> VideoViews:
        """The views of a video file or a folder of frames; a `ValueError` if it cannot be read."""
        return self._read(record, functools.partial(self.frames.read_path, record.path))

    def read_row(self, row: int) -> VideoViews:
        """The views of the record in that row of the list, which may be packed; see `read`."""
        return self._read(self._records[row], functools.partial(self.frames.read, row))

    def clip_indices(self, index: int, num_frames: int) -> np.ndarray:
        """Frames of every clip of the record with that `index`, int32 `(num_clips, frames)`."""
        random = self._views.clip_mode == "random"
        # There are no epochs in scoring.
        seed = record_seed(self._seed, 0, index) if random else None
        clips = self._sampler.sample_clips(
            num_frames, self._views.num_clips, "random" if random else "uniform", seed
        )
        return clips.reshape(len(clips), -1)

    def _read(self, record: Record, read_frames: ReadFrames) -> VideoViews:
        choose_clips = functools.partial(self.clip_indices, record.index)
        num_clips = self._views.num_clips
        try:
            return self._read_clips(read_frames, choose_clips, range(num_clips))
        except VideoDecodeError:
            clips = _clips_by_part(read_frames, choose_clips, num_clips)
            if len(clips) == 1:
                raise
        parts = [self._read_clips(read_frames, choose_clips, part) for part in clips]
        starts = np.cumsum([0, *(len(part.crops[0]) for part in parts[:-1])])
        crops = [np.concatenate(crop) for crop in zip(*(part.crops for part in parts), strict=True)]
        positions = [part.positions + start for part, start in zip(parts, starts, strict=True)]
        return VideoViews(crops, np.concatenate(positions))

    def _read_clips(
        self, read_frames: ReadFrames, choose_clips: ChooseIndices, clips: Sequence[int]
    ) -> VideoViews:
        positions: Any = None

        def choose(num_frames: int) -> np.ndarray:
            nonlocal positions
            chosen = choose_clips(num_frames)[clips]
            distinct, inverse = np.unique(chosen, return_inverse=True)
            # NumPy 1 flattens what it returns here.
            positions = inverse.reshape(chosen.shape)
            return distinct

        frames = read_frames(choose)
        # Elsewhere the accelerator would be given work, and memory, that the model needs.
        with tf.device("CPU:0"):
            crops = crop_sets.crops_of_array(self._crop_set, frames)
        return VideoViews(crops, positions)


class ViewProcesses:
    """Reads views in processes, which bad files may crash or hang.

    As many threads as processes call it. A video that ends two of them, or takes too long, is bad.
    """

    def __init__(self, options: ScoringOptions, clip_spec: ClipSpec) -> None:
        limits: Any = {"time_limit": options.time_limit, "deaths_per_task": DEATHS_PER_VIDEO}
        processes = {"num_processes": options.workers, **limits}
        self._pool = WorkerPool(make_view_reader, options, clip_spec, **processes)

    def __call__(self, record: Record) -> VideoViews:
        """Reads the views of a video file or a folder; an `OSError` is the machine's fault."""
        try:
            found = self._pool.run(record)
        except LostTaskError as error:
            raise ValueError(f"Reading {record.path!r} {error}.") from None
        except OSError as error:
            # It says nothing of the video, and must not be taken for its fault.
            raise OSError(error.errno or errno.EIO, str(error)) from error
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def close(self) -> None:
        self._pool.close()


def make_view_reader(
    options: ScoringOptions, clip_spec: ClipSpec
) -> Callable[[Record, Any], VideoViews | str]:
    """Returns what each process calls with a record: its views, or why it cannot be read."""
    use_tensorflow_on_one_core()
    reader = ViewReader(options, clip_spec)

    def read(record: Record, send: Any) -> VideoViews | str:
        try:
            views = reader.read(record)
        except Exception as error:
            if is_passing(error):
                # The cause is not sent along with an exception.
                raise OSError(errno.EIO, reason_of(error)) from error
            return reason_of(error)
        # What lies in one piece is sent without a copy.
        return VideoViews([np.ascontiguousarray(crop) for crop in views.crops], views.positions)

    return read


def crop_set_of(views: ViewSpec, clip_spec: ClipSpec) -> crop_sets.CropSet:
    """The crops that the views ask for."""
    sizes = *views.crop_size_of(clip_spec), clip_spec.short_side
    if views.num_crops == 3:
        return crop_sets.ThreeCrops(*sizes, views.always_across)
    return crop_sets.OneCrop(*sizes) if views.num_crops == 1 else crop_sets.TenCrops(*sizes)


def check_not_packed(records: RecordList) -> None:
    """Raises a `ValueError` for packed records, which have no file of their own each."""
    if isinstance(records, PackedRecordList):
        raise ValueError(
            "Packed records are read by threads of this process alone, which takes no decoder. "
            "Leave out `in_processes` (on the command line --in-processes) and Beam, or label the "
            "videos themselves."
        )


def is_passing(error: BaseException | None) -> bool:
    """Whether the machine failed, rather than the video: read again, it may be fine."""
    while error is not None:
        is_of_python = type(error).__module__ == "builtins"
        # Decoders report damaged files by some of the same numbers.
        numbers = PASSING_ERRORS if is_of_python else PASSING_ERRORS - AMBIGUOUS
        if (
            isinstance(error, tf.errors.ResourceExhaustedError)
            or (isinstance(error, MemoryError) and is_of_python)
            or (isinstance(error, OSError) and error.errno in numbers)
        ):
            return True
        error = error.__cause__
    return False


def reason_of(error: Exception) -> str:
    """Why a video cannot be read, in words."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _clips_by_part(
    read_frames: ReadFrames, choose_clips: ChooseIndices, num_clips: int
) -> list[list[int]]:
    """Clips that fit the memory allowed together; all of them if that was not the problem."""
    clips = np.zeros((0, 0), np.int64)

    def choose(num_frames: int) -> np.ndarray:
        nonlocal clips
        clips = choose_clips(num_frames)
        return np.zeros(1, np.int64)

    frame_bytes = read_frames(choose).nbytes
    for num_parts in range(1, num_clips + 1):
        parts = np.array_split(np.arange(num_clips), num_parts)
        most = max(len(np.unique(clips[part])) for part in parts)
        if most * frame_bytes <= max_bytes("clip"):
            break
    return [part.tolist() for part in parts]


@contextlib.contextmanager
def _in_words(path: str, reason: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(f"Cannot read {path!r}: {reason}.") from error


def _check_frame_bytes(path: str, count: int, height: Any, width: Any) -> None:
    what = f"{count} frames of {height}x{width} pixels"
    check_clip_bytes(repr(path), count * int(height) * int(width) * 3, what, None)
