"""From a class and a seed to the frames of a video.

No frame can tell the class. A scene has no edge, no upright and no size of its own: it repeats
without a seam in both directions; it starts at a uniform position and angle; and zooming goes on
for ever, for it is made of layers of doubling size, each with a position of its own, that fade in
when they are small and fade away when they are large. Position, angle and the fraction of the size
are thus uniform on circles. What a motion adds does not depend on where it starts, and a uniform
variable on a circle to which such an amount is added is uniform as before. So every single frame,
at whatever time, has the same distribution in each class; only what changes between frames differs.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_tdn.datasets.motion.config import MotionConfig
from keras_tdn.datasets.motion.textures import TILE_SIDE, scene_tile
from keras_tdn.datasets.motion.trajectories import MOTION_CLASSES, Trajectory, draw_trajectory

# Of a frame this wide, a pixel shows this many texels of a layer at its smallest.
REFERENCE_SIZE = 64
TEXELS_PER_PIXEL = 4.0
# Layers lie two octaves apart and are seen for somewhat longer. So mostly there is one, whose size
# can be seen.
SPACING = 2.0
SEEN = 2.6
# A video starts among as many layers and sees a few of them.
NUM_OFFSETS = 1024


def render_motion(label: int, config: MotionConfig, seed: Sequence[int]) -> np.ndarray:
    """The frames of one video.

    Use it to have a video without a file; `make_motion_dataset` writes many. With one seed, the
    videos of all classes show the same scene at their start, and differ in how it moves.

    Args:
        label: Number of the class, see `MOTION_CLASSES`.
        config: What videos look like.
        seed: Non-negative integers that all draws come from.

    Returns:
        uint8 pixels of shape `(num_frames, size, size, 3)`.

    Raises:
        ValueError: if there is no such class, or the seed is no such integers.

    Example:

    >>> render_motion(3, MotionConfig(), seed=(0, 7)).shape
    (32, 64, 64, 3)
    """
    if type(label) is not int or not 0 <= label < len(MOTION_CLASSES):
        raise ValueError(
            f"The motion data set has {len(MOTION_CLASSES)} classes, 0 to "
            f"{len(MOTION_CLASSES) - 1}. Received: label={label!r}"
        )
    rng = np.random.default_rng(_checked(seed))
    path = draw_trajectory(MOTION_CLASSES[label], config, rng)
    camera = _Camera(path, config, rng)
    mean_colour = rng.uniform(50, 200, 3).astype(np.float32)
    tile = scene_tile(rng)
    frames = np.empty((config.num_frames, config.size, config.size, 3), np.float32)
    frames[:] = mean_colour
    # The smaller layer is the farther one.
    for slot in range(2):
        camera.add_layer(frames, tile, slot)
    return _photograph(frames, config, rng)


class _Camera:
    """Looks at the layers of a scene from a place that changes with the frames."""

    def __init__(self, path: Trajectory, config: MotionConfig, rng: np.random.Generator) -> None:
        self._path = path
        self._angle = rng.uniform(0, 2 * np.pi) + path.angle
        self._position = rng.uniform(0, 1) + path.octaves / SPACING
        self._offsets = rng.uniform(0, TILE_SIDE, (2, NUM_OFFSETS))
        # Zooming and rotation need not be about the centre.
        pivot = ((0.5 + rng.uniform(-0.15, 0.15, 2)) * config.size).astype(np.float32)
        axis = np.arange(config.size, dtype=np.float32) + np.float32(0.5)
        self._x, self._y = axis[None, :] - pivot[0], axis[:, None] - pivot[1]
        self._texels = TEXELS_PER_PIXEL * REFERENCE_SIZE / config.size

    def add_layer(self, frames: np.ndarray, tile: np.ndarray, slot: int) -> None:
        """Adds what is seen of the layers that are from `slot` to `slot + 1` spacings larger than
        the smallest; from frame to frame that may be another layer."""
        whole = np.floor(self._position)
        octaves = SPACING * (slot + self._position - whole)
        strength = np.clip(np.minimum(octaves, SEEN - octaves) / (SEEN - SPACING), 0, 1)
        seen = np.flatnonzero(strength)
        layers = (slot - whole[seen]).astype(int) % NUM_OFFSETS
        picked = self._look(tile, seen, octaves[seen], layers)
        strength = strength[seen, None, None, None].astype(np.float32)
        # Squares that add up to one keep the contrast while one layer gives way to the next.
        waves = np.sin(0.5 * np.float32(np.pi) * strength) * picked[..., :3]
        objects = strength * picked[..., 3:]
        frames[seen] = (frames[seen] + waves) * (1 - objects[..., 3:]) + objects[..., :3]

    def _look(
        self, tile: np.ndarray, seen: np.ndarray, octaves: np.ndarray, layers: np.ndarray
    ) -> np.ndarray:
        """Texels of layers at those frames, `(frames, size, size, channels)`."""
        scale = self._texels * 2.0**-octaves
        cosine, sine = scale * np.cos(self._angle[seen]), scale * np.sin(self._angle[seen])
        x, y = self._path.x[seen], self._path.y[seen]
        # In the tile's own axes; y points down, so that growing angles turn the scene clockwise.
        x0 = self._offsets[0, layers] - cosine * x - sine * y
        y0 = self._offsets[1, layers] - cosine * y + sine * x
        # More tiles than a frame covers keep it positive, so that a cast to integers rounds down.
        x0, y0 = (values % TILE_SIDE + 4 * TILE_SIDE for values in (x0, y0))
        cosine, sine, x0, y0 = (
            values.astype(np.float32)[:, None, None] for values in (cosine, sine, x0, y0)
        )
        columns = (cosine * self._x + (sine * self._y + x0)).astype(np.int32)
        rows = (cosine * self._y - (sine * self._x - y0)).astype(np.int32)
        columns &= TILE_SIDE - 1
        rows &= TILE_SIDE - 1
        rows *= TILE_SIDE
        rows += columns
        return tile.reshape(TILE_SIDE**2, -1).take(rows, axis=0)


def _checked(seed: Any) -> list[int]:
    try:
        numbers = [operator.index(number) for number in seed]
    except TypeError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise ValueError(
            "A video's `seed` is one or more non-negative integers, for example (0, 7). "
            f"Received: seed={seed!r}"
        )
    return numbers


def _photograph(frames: np.ndarray, config: MotionConfig, rng: np.random.Generator) -> np.ndarray:
    """Light that falls off to one side, and the noise of the camera."""
    tint = rng.uniform(0.8, 1.1, 3)
    slope = rng.uniform(-0.25, 0.25, 2)
    axis = np.linspace(-1, 1, config.size)
    light = 1 + slope[0] * axis[:, None] + slope[1] * axis[None, :]
    frames *= (light[..., None] * tint).astype(np.float32)
    frames += np.float32(config.noise) * rng.standard_normal(frames.shape, dtype=np.float32)
    return np.clip(frames, 0, 255, out=frames).astype(np.uint8)
