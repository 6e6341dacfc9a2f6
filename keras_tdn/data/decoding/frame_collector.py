"""From decoded frames to the one array that is asked for."""

from __future__ import annotations

import av
import numpy as np

from keras_tdn.data.decoding.frame_conversion import FrameConverter
from keras_tdn.data.decoding.interface import FrameSize, VideoDecodeError, resized_size
from keras_tdn.limits import check_bytes


class FrameCollector:
    """Converts frames as they come and puts each where its index was asked for.

    Args:
        name: How errors call the video.
        indices: The flattened indices asked for.
        size: What upright frames are resized to; see `read_frames`.
        num_threads: Threads for the conversion of one frame; `None` for one per processor.
    """

    def __init__(
        self,
        name: str,
        indices: np.ndarray,
        size: FrameSize,
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
        self._converter = FrameConverter(name, num_threads)

    @property
    def is_complete(self) -> bool:
        return not self._positions

    @property
    def pixels(self) -> np.ndarray:
        if self._pixels is None or self._positions:
            raise RuntimeError("Frames are taken before all of them were added.")
        return self._pixels

    def expect(self, stored_size: tuple[int, int]) -> None:
        """Refuses what would take too much memory, before the decoder takes some.

        Args:
            stored_size: Height and width of the frames that will come, as in `add`.

        Raises:
            VideoDecodeError: if there are too many pixels.
        """
        height, width = resized_size(self._size, *stored_size)
        frames = "1 frame" if self._num_frames == 1 else f"{self._num_frames} frames"
        what = f"{frames} of {height}x{width} pixels"
        try:
            check_bytes(3 * self._num_frames * height * width, "clip", what)
        except ValueError as error:
            raise VideoDecodeError(f"Cannot read {self._name}: {error}") from error

    def add(self, index: int, frame: av.VideoFrame, stored_size: tuple[int, int]) -> None:
        """Takes one frame.

        Args:
            index: Its number among the frames shown.
            frame: The frame as it was decoded.
            stored_size: Height and width that it is given before it is turned upright.

        Raises:
            VideoDecodeError: if it does not go with the others.
        """
        positions = self._positions.pop(index)
        upright = self._converter.upright_size(frame, *stored_size)
        height, width = resized_size(self._size, *upright)
        if self._pixels is None:
            self.expect(upright)
            self._pixels = np.empty((self._num_frames, height, width, 3), np.uint8)
        elif self._pixels.shape[1:3] != (height, width):
            raise VideoDecodeError(
                f"Cannot read {self._name}: its frames change midway between upright and lying. "
                "Encode it again."
            )
        pixels = self._converter.convert(frame, height, width)
        for position in positions:
            self._pixels[position] = pixels
