"""Videos as data sets hold them: 340x256, h264 at 30 fps, 10 seconds, as encoders do it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH, FPS, NUM_FRAMES = 256, 340, 30, 300


@dataclasses.dataclass(frozen=True)
class Kind:
    """How lively a video is (levels of noise, pixels of panning), and its keyframe interval."""

    noise: float
    pan: float
    keyframe_interval: int


KINDS = {
    "usual": Kind(noise=3, pan=60, keyframe_interval=250),
    "many_keyframes": Kind(noise=3, pan=60, keyframe_interval=12),
    "noisy": Kind(noise=8, pan=60, keyframe_interval=250),
    "calm": Kind(noise=1, pan=10, keyframe_interval=250),
}


def render(path: Path, kind: Kind) -> None:
    """A panned texture with discs and sensor noise, by x264's defaults: 3 B-frames, CRF 23."""
    rng = np.random.default_rng(0)
    shape = HEIGHT + 160, WIDTH + 160
    texture = 128 + sum(
        amplitude * _smooth(rng, *shape, cell) for cell, amplitude in ((64, 40), (16, 20), (4, 10))
    )
    noises = [rng.normal(0, kind.noise, (HEIGHT, WIDTH, 3)) for _ in range(16)]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as output:
        options = {"crf": "23", "preset": "medium", "g": str(kind.keyframe_interval)}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM_FRAMES):
            top = int(80 + kind.pan * np.cos(index / 41))
            left = int(80 + kind.pan * np.sin(index / 30))
            pixels = texture[top : top + HEIGHT, left : left + WIDTH].copy()
            for disc in range(4):
                x = WIDTH * (1 / 2 + np.sin(index / (9 + 3 * disc) + disc) / 3)
                y = HEIGHT * (1 / 2 + np.cos(index / (7 + 2 * disc) + 2 * disc) / 3)
                inside = (columns - x) ** 2 + (rows - y) ** 2 < (20 + 6 * disc) ** 2
                pixels[inside] = (60 * disc, 255 - 50 * disc, 30 * disc + 60)
            pixels = np.clip(pixels + noises[rng.integers(16)], 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def random_segments(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Frames of a training clip: eight segments of five, each at random within its span."""
    average = (num_frames - 4) // 8
    starts = np.arange(8) * average + rng.integers(0, average, 8)
    return starts[:, np.newaxis] + np.arange(5)


def _smooth(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Noise, interpolated between points `cell` pixels apart."""
    grid = rng.standard_normal((height // cell + 2, width // cell + 2, 3))
    for axis, size in ((0, height), (1, width)):
        at = np.arange(size) / cell
        low = at.astype(int)
        weight = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        grid = np.take(grid, low, axis) * (1 - weight) + np.take(grid, low + 1, axis) * weight
    return grid
