"""Frames to an mp4 file."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np

from keras_tdn.datasets.motion.config import MotionConfig


def encode_mp4(frames: np.ndarray, config: MotionConfig) -> bytes:
    """H.264 of every frame on its own, at a constant quantizer.

    Prediction between frames would let a single one betray the motion: what stands still is stored
    better with each frame. One thread, no dates and no version strings keep the bytes the same.

    Args:
        frames: uint8 pixels of shape `(num_frames, height, width, 3)`.
        config: Its `quantizer` and `frame_rate` are used.

    Returns:
        The file's bytes.
    """
    import av

    file = io.BytesIO()
    time_base = Fraction(1, config.frame_rate)
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream(
            "libx264",
            rate=config.frame_rate,
            options={
                "preset": "veryfast",
                "qp": str(config.quantizer),
                "g": "1",
                "threads": "1",
                "flags": "+bitexact",
            },
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.time_base = "yuv420p", time_base
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
