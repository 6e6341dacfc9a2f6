"""Which source records are read from."""

from __future__ import annotations

import os
from typing import Any

from keras_tdn.data.dataset.clip_source import ClipSource
from keras_tdn.data.dataset.folder_clips import FolderClips
from keras_tdn.data.dataset.packed_clips import PackedClips
from keras_tdn.data.dataset.video_clips import VideoClips
from keras_tdn.data.decoding import Decoder, get_decoder
from keras_tdn.data.failures import FailureLog
from keras_tdn.data.packed_records import PackedRecordList
from keras_tdn.data.records import RecordList


def clip_source(
    records: RecordList,
    sampler: Any,
    transforms: Any,
    num_frames: int,
    decoder: str | Decoder,
    failures: FailureLog | None,
) -> ClipSource:
    """The source for the kind of records there are.

    Raises:
        ValueError: if some are folders and others files.
    """
    if isinstance(records, PackedRecordList):
        return PackedClips(records, sampler, transforms, num_frames)
    folders = [os.path.isdir(record.path) for record in records]
    if all(folders):
        return FolderClips(records, sampler, transforms, num_frames)
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
    return VideoClips(records, sampler, transforms, num_frames, decoder, failures)
