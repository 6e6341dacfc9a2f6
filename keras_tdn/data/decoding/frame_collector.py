"""From decoded frames to the one array that is asked for."""

from __future__ import annotations

import av
import numpy as np

from keras_tdn.data.decoding.frame_conversion import FrameConverter, upright_size
from keras_tdn.data.decoding.interface import FrameSize, VideoDecodeError, resized_size


class FrameCollector:
    """Converts frames as they come and puts each where its index was asked for.

    Args:
        name: How errors call the video.
        indices: The flattened indices asked for.
        size: What upright frames are resized to; see `read_frames`.
        max_bytes: The most that the pixels may take; `None` for any number.
        num_threads: Threads for the conversion of one frame; `None` for one per processor.
    """

    def __init__(
        self,
        name: str,
        indices: np.ndarray,
        size: FrameSize,
        max_bytes: int | None,
        num_threads: int | None,
    ) -> None:
        self._name = name
        self._positions: dict[int, list[int]] = {}
        for position, index in enumerate(indices.tolist()):
            self._positions.setdefault(index, []).append(position)
        self.wanted = sorted(self._positions)
        self._pixels: np.ndarray | None = None
        self._num_frames = len(indices)
        self._size = size
        self._max_bytes = max_bytes
        self._converter = FrameConverter(num_threads)

    @property
    def is_complete(self) -> bool:
        return not self._positions

    @property
    def pixels(self) -> np.ndarray:
        if self._pixels is None or self._positions:
            raise RuntimeError("Frames are taken before all of them were added.")
        return self._pixels

    def add(self, index: int, frame: av.VideoFrame, shape: tuple[int, int]) -> None:
        """Takes one frame, decoded to `shape` (height, width) before it is turned upright."""
        positions = self._positions.pop(index)
        height, width = resized_size(self._size, *upright_size(frame, *shape))
        if self._pixels is None:
            num_bytes = self._num_frames * height * width * 3
            if self._max_bytes is not None and num_bytes > self._max_bytes:
                raise VideoDecodeError(
                    f"Cannot read {self._name}: {self._num_frames} frames of {height}x{width} "
                    f"pixels would take {num_bytes} bytes, more than the {self._max_bytes} "
                    "allowed. Read it with a smaller `size`."
                )
            self._pixels = np.empty((self._num_frames, height, width, 3), np.uint8)
        elif self._pixels.shape[1:3] != (height, width):
            raise VideoDecodeError(
                f"Cannot read {self._name}: its frames change midway between upright and lying. "
                "Encode it again."
            )
        pixels = self._converter.convert(frame, height, width)
        for position in positions:
            self._pixels[position] = pixels
