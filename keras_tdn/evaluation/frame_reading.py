"""Chosen frames of a record, whatever kind of record it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.data.decoding import Decoder, VideoDecodeError, get_decoder
from keras_tdn.data.jpeg_frames import decode_frame_files, scan_frame_folder
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames
from keras_tdn.data.records import RecordList
from keras_tdn.limits import check_bytes
from keras_tdn.tensorflow_gpus import leave_gpus_to_backend

ChooseIndices = Callable[[int], np.ndarray]


class FrameReader:
    """Reads chosen frames of records: video files, folders of JPEG frames, packed records.

    Use it where a record is read on its own; `make_dataset` reads many of one kind. It may be
    called from several threads.

    Args:
        records: The records.
        decoder: Name of the decoder of video files, or the decoder itself.

    Example:

    >>> FrameReader(records).read(0, lambda num_frames: np.array([0, num_frames - 1])).shape
    (2, 240, 320, 3)
    """

    def __init__(self, records: RecordList, decoder: str | Decoder = "pyav") -> None:
        leave_gpus_to_backend()
        self._records = records
        self._columns = records.columns() if isinstance(records, PackedRecordList) else None
        # As graphs, because op by op a frame takes longer to call for than to decode.
        self._decode_files = tf.function(
            decode_frame_files, input_signature=[tf.TensorSpec([None], tf.string)]
        )
        self._decode_packed = tf.function(
            decode_packed_frames,
            input_signature=[
                tf.TensorSpec([], tf.string),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([None], tf.int64),
            ],
        )
        # One thread each, because videos are decoded side by side.
        self._decoder = get_decoder(decoder, 1) if isinstance(decoder, str) else decoder

    def read(self, row: int, choose_indices: ChooseIndices) -> np.ndarray:
        """Frames of the record in that row of the list.

        Args:
            row: Its position in the list.
            choose_indices: Called with the number of frames; returns zero-based indices, each once.
                It may be called again with another number, if damage shows up while decoding.

        Returns:
            Pixels in [0, 255], uint8, of shape `(number of indices, height, width, 3)`.

        Raises:
            ValueError: if it cannot be read; a `VideoDecodeError` if it is a video file.
        """
        path = self._records[row].path
        if self._columns is not None:
            return self._read_packed(row, choose_indices)
        if os.path.isdir(path):
            return self._read_folder(path, choose_indices)
        return self._decoder.read_frames(path, choose_indices)

    def _read_folder(self, path: str, choose_indices: ChooseIndices) -> np.ndarray:
        paths = scan_frame_folder(path).paths
        chosen = [paths[index] for index in choose_indices(len(paths))]
        try:
            height, width = tf.io.extract_jpeg_shape(tf.io.read_file(chosen[0])).numpy()[:2]
            self._check_bytes(path, len(chosen), height, width)
            return self._decode_files(chosen).numpy()
        except tf.errors.OpError as error:
            raise ValueError(
                f"Cannot read {path!r}: a frame is missing, or is not a JPEG picture of the same "
                "size as the others."
            ) from error

    def _read_packed(self, row: int, choose_indices: ChooseIndices) -> np.ndarray:
        columns: dict[str, Any] = self._columns or {}
        indices = np.asarray(choose_indices(int(columns["num_frames"][row])), np.int64)
        path = self._records[row].path
        self._check_bytes(path, len(indices), columns["height"][row], columns["width"][row])
        try:
            place = columns["shard"][row], columns["offset"][row]
            return self._decode_packed(*place, indices).numpy()
        except tf.errors.OpError as error:
            raise ValueError(
                f"Cannot read {path!r}: its packed record is damaged, or the shard is missing or "
                "cut short."
            ) from error

    def _check_bytes(self, path: str, count: int, height: Any, width: Any) -> None:
        what = f"{count} frames of {height}x{width} pixels"
        try:
            check_bytes(count * int(height) * int(width) * 3, "clip", what)
        except ValueError as error:
            raise VideoDecodeError(f"Cannot read {path!r}: {error}") from error
