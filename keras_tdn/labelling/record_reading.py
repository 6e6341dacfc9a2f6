"""Views of one record after the other, without a list of all of them."""

from __future__ import annotations

from typing import cast

from keras_tdn.data.decoding import Decoder
from keras_tdn.data.packed_records import PackedRecordList
from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation.frame_reading import FrameReader
from keras_tdn.evaluation.view_reading import VideoViews, ViewReader
from keras_tdn.specs import ClipSpec, ViewSpec


class RecordReader:
    """Reads the views of whatever record it is given; for one thread.

    Use it in processes that are given records one by one, as workers of a pipeline are.

    Args:
        views: Which views.
        clip_spec: The clip that the model takes.
        seed: What random clips are drawn from, together with a record's `index`.
        decoder: Name of the decoder of video files, or the decoder itself.
    """

    def __init__(
        self, views: ViewSpec, clip_spec: ClipSpec, seed: int = 0, decoder: str | Decoder = "pyav"
    ) -> None:
        self._current = _CurrentRecord()
        records = cast(RecordList, self._current)
        frames = FrameReader(records, decoder)
        self._reader = ViewReader(frames, records, views, clip_spec, seed)

    def __call__(self, record: Record) -> VideoViews:
        """The views of a record.

        Raises:
            ValueError: if it cannot be read.
        """
        self._current.record = record
        return self._reader.read(0)


class _CurrentRecord:
    """A list of the one record that is being read."""

    record: Record

    def __getitem__(self, row: int) -> Record:
        return self.record


def check_not_packed(records: RecordList) -> None:
    """Raises a `ValueError` for packed records, which have no file of their own each."""
    if isinstance(records, PackedRecordList):
        raise ValueError(
            "Packed records are read by threads of this process alone, which takes no decoder. "
            "Leave out `in_processes` (on the command line --in-processes) and Beam, or label the "
            "videos themselves."
        )
