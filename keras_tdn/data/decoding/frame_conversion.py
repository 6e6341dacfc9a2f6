"""From a decoded frame to upright pixels."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import VideoReformatter

# Before this release swscale had no threads to be kept from starting.
THREADS_SINCE = 17


class FrameConverter:
    """Converts frames of one video to pixels, one at a time.

    Use one for all frames of a video: each new one would set up the scaling afresh.

    Args:
        num_threads: Threads for the conversion of one frame; `None` for one per processor.
    """

    def __init__(self, num_threads: int | None = None) -> None:
        self._reformatter = VideoReformatter()
        self._options = {}
        if int(av.__version__.split(".")[0]) >= THREADS_SINCE:
            self._options = {"threads": num_threads or 0}

    def convert(self, frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """Pixels in [0, 255], red green blue, uint8 of shape `(height, width, 3)`.

        Args:
            frame: The frame as it was decoded.
            height: Height of the upright pixels.
            width: Their width.
        """
        turns = quarter_turns(frame)
        lying = (height, width) if turns % 2 == 0 else (width, height)
        picture = self._reformatter.reformat(
            frame, height=lying[0], width=lying[1], format="rgb24", **self._options
        )
        pixels = picture.to_ndarray()
        return np.rot90(pixels, turns) if turns else pixels


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often a frame is turned, counter-clockwise as `numpy.rot90` counts, to be upright.

    Tags other than quarter turns do not occur in practice.
    """
    return round(frame.rotation / 90)


def upright_size(frame: av.VideoFrame, height: int, width: int) -> tuple[int, int]:
    """Height and width, once upright, of a frame that was decoded to `height` by `width`."""
    return (height, width) if quarter_turns(frame) % 2 == 0 else (width, height)
