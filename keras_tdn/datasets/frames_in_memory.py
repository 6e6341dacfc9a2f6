"""Decoding each video once, where all of them fit into memory."""

from __future__ import annotations

import threading

import numpy as np

from keras_tdn.data.decoding import Decoder, FrameSize, VideoDecodeError, VideoSource, get_decoder
from keras_tdn.data.decoding.interface import ChooseIndices, check_indices
from keras_tdn.specs import check_field, is_positive_int

DEFAULT_MAX_BYTES = 2**30


class FramesInMemory:
    """A decoder that keeps all frames of the videos it has decoded.

    Use it as the `decoder` of `make_dataset` for small data sets of short, small videos and many
    epochs: a clip then costs a copy. Once `max_bytes` are taken, further videos are decoded each
    time, as without it.

    Args:
        decoder: What reads videos; by default PyAV with one thread.
        max_bytes: The most that kept frames may take.

    Raises:
        ValueError: if `max_bytes` is no positive integer.

    Example:

    >>> decoder = FramesInMemory()
    >>> train = make_dataset(records, spec, training=True, batch_size=8, decoder=decoder)
    """

    def __init__(self, decoder: Decoder | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        check_field(self, "max_bytes", is_positive_int(max_bytes), "a positive integer")
        self.decoder = get_decoder("pyav", num_threads=1) if decoder is None else decoder
        self._kept: dict[tuple[str, FrameSize], np.ndarray] = {}
        # What the kept frames take.
        self.num_bytes = 0
        self._lock = threading.Lock()

    def read_frames(
        self, source: VideoSource, choose_indices: ChooseIndices, size: FrameSize = None
    ) -> np.ndarray:
        """Reads chosen frames; see `keras_tdn.data.decoding.read_frames`."""
        # Only a name shows that two sources are the same.
        key = (source, size) if isinstance(source, str) else None
        frames = None if key is None else self._kept.get(key)
        if frames is None:
            if key is None or self.num_bytes >= self.max_bytes:
                return self.decoder.read_frames(source, choose_indices, size)
            try:
                frames = self.decoder.read_frames(source, np.arange, size)
            except VideoDecodeError:
                # The whole video may be too large where some frames are not.
                return self.decoder.read_frames(source, choose_indices, size)
            with self._lock:
                if key not in self._kept and self.num_bytes + frames.nbytes <= self.max_bytes:
                    self._kept[key] = frames
                    self.num_bytes += frames.nbytes
        return frames[check_indices(choose_indices(len(frames)), len(frames))]
