"""Motion rendered into frames: what moves, and how a camera sees it."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_tdn.datasets.motion.scene import TILE_SIDE, scene_tile

# Least and greatest value of each setting. Both of a pair lie between them.
_LIMITS = {
    "num_frames": (5, 1000),
    "size": (32, 512),
    "move_speed": (1e-4, 0.5),
    "turn_speed": (1e-2, 90.0),
    "zoom_speed": (1e-4, 1.0),
    "turning_jitter": (0.0, 100.0),
    "shake": (0.0, 0.1),
    "noise": (0.0, 50.0),
    "frame_rate": (1, 240),
    "quantizer": (1, 51),
}


@dataclasses.dataclass(frozen=True)
class MotionConfig:
    """Settings of the videos of a motion data set.

    Args:
        num_frames: Frames in a video.
        size: Height and width in pixels, even.
        move_speed: Slowest and fastest movement, in frame sides per frame. Every doubling between
            them is as likely, here and below.
        turn_speed: Slowest and fastest rotation, in degrees per frame.
        zoom_speed: Slowest and fastest change of size, in doublings per frame.
        turning_jitter: By how many frames at most the point where a motion turns back is moved.
        shake: Standard deviation of the camera's shaking, in frame sides.
        noise: Standard deviation of the camera's noise, in pixel values of [0, 255].
        frame_rate: Frames per second that the files state.
        quantizer: How coarsely H.264 stores each frame, from 1 to 51.

    Raises:
        ValueError: if a value is out of range.
    """

    num_frames: int = 32
    size: int = 64
    move_speed: tuple[float, float] = (0.035, 0.055)
    turn_speed: tuple[float, float] = (4.0, 7.0)
    zoom_speed: tuple[float, float] = (0.05, 0.08)
    turning_jitter: float = 1.5
    shake: float = 0.002
    noise: float = 2.0
    frame_rate: int = 25
    quantizer: int = 24

    def __post_init__(self) -> None:
        for field, (least, most) in _LIMITS.items():
            value, default = getattr(self, field), getattr(MotionConfig, field)
            values = value
            if isinstance(default, tuple):
                what = f"two numbers for `{field}`, ascending, from {least} to {most}"
                values = tuple(value) if isinstance(value, tuple | list) else ()
                fits = len(values) == 2 and all(map(_is_number, values)) and values[0] <= values[1]
            elif isinstance(default, int):
                what = f"an integer from {least} to {most} for `{field}`"
                fits = type(value) is int
            else:
                what = f"a number from {least} to {most} for `{field}`"
                fits = _is_number(value)
            if not fits or not np.all((np.less_equal(least, values), np.less_equal(values, most))):
                raise ValueError(f"MotionConfig needs {what}. Received: {field}={value!r}")
            object.__setattr__(self, field, values)
        # The files store colour at half the resolution.
        if self.size % 2:
            raise ValueError(
                f"MotionConfig needs an even `size`, as H.264 does. Received: size={self.size}"
            )

    def to_config(self) -> dict[str, Any]:
        """Returns a dict that JSON can hold."""
        config = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in config.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclasses.dataclass(frozen=True)
class MotionClass:
    """One way in which the scene of a video moves before the camera.

    Args:
        label: Its name, with left and right where a mirror exchanges them, for `flip_map`.
        right, down: Direction in x and y, -1, 0 or 1.
        turn: Direction of rotation; 1 is clockwise as seen.
        grow: Direction of the change of size; 1 is growing.
        legs: Equal spans of the video between which the direction reverses.
        either: Whether the first direction is the opposite one in half of the videos.
    """

    label: str
    right: int = 0
    down: int = 0
    turn: int = 0
    grow: int = 0
    legs: int = 1
    either: bool = False


MOTION_CLASSES = (
    MotionClass("moving left", right=-1),
    MotionClass("moving right", right=1),
    MotionClass("moving up", down=-1),
    MotionClass("moving down", down=1),
    MotionClass("zooming in", grow=1),
    MotionClass("zooming out", grow=-1),
    MotionClass("rotating right", turn=1),
    MotionClass("rotating left", turn=-1),
    MotionClass("approaching then retreating", grow=1, legs=2),
    MotionClass("retreating then approaching", grow=-1, legs=2),
    MotionClass("pulsating", grow=1, legs=4, either=True),
    MotionClass("still"),
)
MOTION_LABELS = tuple(motion.label for motion in MOTION_CLASSES)


# Of a frame this wide, a pixel shows this many texels of a layer at its smallest.
REFERENCE_SIZE = 64
TEXELS_PER_PIXEL = 4.0
# Layers lie two octaves apart and are seen for somewhat longer, so that mostly one is seen.
SPACING = 2.0
SEEN = 2.6
# A video starts among as many layers and sees a few of them.
NUM_OFFSETS = 1024


def render_motion(label: int, config: MotionConfig, seed: Sequence[int]) -> np.ndarray:
    """Renders the frames of one video.

    Use it to have a video without a file; `make_motion_dataset` writes many. With one seed, the
    videos of all classes show the same scene and differ in how it moves.

    Args:
        label: Number of the class in `MOTION_CLASSES`.
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
    try:
        numbers = [operator.index(number) for number in seed]
    except TypeError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise ValueError(
            "A video's `seed` is one or more non-negative integers, for example (0, 7). "
            f"Received: seed={seed!r}"
        )
    rng = np.random.default_rng(numbers)
    camera = _Camera(MOTION_CLASSES[label], config, rng)
    mean_colour = rng.uniform(50, 200, 3).astype(np.float32)
    tile = scene_tile(rng)
    frames = np.empty((config.num_frames, config.size, config.size, 3), np.float32)
    frames[:] = mean_colour
    # The smaller layer is the farther one.
    for slot in range(2):
        camera.add_layer(frames, tile, slot)
    return _photograph(frames, config, rng)


class _Camera:
    """Looks at the layers of a scene, which moves before it with the frames."""

    def __init__(self, motion: MotionClass, config: MotionConfig, rng: np.random.Generator) -> None:
        # Every class takes the same draws, so that videos of one seed differ in their motion alone.
        move, turn, zoom = (
            np.exp(rng.uniform(*np.log(limits)))
            for limits in (config.move_speed, config.turn_speed, config.zoom_speed)
        )
        late = rng.uniform(-config.turning_jitter, config.turning_jitter)
        opposite = rng.integers(2)
        shake = rng.normal(0, config.shake * config.size, (2, config.num_frames))
        legs = (np.arange(config.num_frames) - late) * motion.legs / config.num_frames
        directions = (-1.0) ** np.clip(np.floor(legs), 0, motion.legs - 1)
        if motion.either and opposite:
            directions = -directions
        progress = np.cumsum(directions) - directions[0]
        # Where the scene has moved to, by frame: pixels, clockwise radians, doublings of the size.
        self._right = motion.right * move * config.size * progress + shake[0]
        self._down = motion.down * move * config.size * progress + shake[1]
        self._angle = rng.uniform(0, 2 * np.pi) + motion.turn * np.deg2rad(turn) * progress
        self._position = rng.uniform(0, 1) + motion.grow * zoom * progress / SPACING
        self._offsets = rng.uniform(0, TILE_SIDE, (2, NUM_OFFSETS))
        # Zooming and rotation need not be about the centre.
        pivot = ((0.5 + rng.uniform(-0.15, 0.15, 2)) * config.size).astype(np.float32)
        axis = np.arange(config.size, dtype=np.float32) + np.float32(0.5)
        self._x, self._y = axis[None, :] - pivot[0], axis[:, None] - pivot[1]
        self._texels = TEXELS_PER_PIXEL * REFERENCE_SIZE / config.size

    def add_layer(self, frames: np.ndarray, tile: np.ndarray, slot: int) -> None:
        """Adds what is seen of the layers from `slot` to `slot + 1` spacings above the smallest."""
        whole = np.floor(self._position)
        octaves = SPACING * (slot + self._position - whole)
        strength = np.clip(np.minimum(octaves, SEEN - octaves) / (SEEN - SPACING), 0, 1)
        seen = np.flatnonzero(strength)
        layers = (slot - whole[seen]).astype(int) % NUM_OFFSETS
        scale = self._texels * 2.0 ** -octaves[seen]
        cosine, sine = scale * np.cos(self._angle[seen]), scale * np.sin(self._angle[seen])
        x, y = self._right[seen], self._down[seen]
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
        # Texels of shape `(frames, size, size, channels)`.
        picked = tile.reshape(TILE_SIDE**2, -1).take(rows, axis=0)
        strength = strength[seen, None, None, None].astype(np.float32)
        # Squares that add up to one keep the contrast while one layer gives way to the next.
        waves = np.sin(0.5 * np.float32(np.pi) * strength) * picked[..., :3]
        objects = strength * picked[..., 3:]
        frames[seen] = (frames[seen] + waves) * (1 - objects[..., 3:]) + objects[..., :3]


def _photograph(frames: np.ndarray, config: MotionConfig, rng: np.random.Generator) -> np.ndarray:
    """Adds light that falls off to one side, and the noise of the camera."""
    tint = rng.uniform(0.8, 1.1, 3)
    slope = rng.uniform(-0.25, 0.25, 2)
    axis = np.linspace(-1, 1, config.size)
    light = 1 + slope[0] * axis[:, None] + slope[1] * axis[None, :]
    frames *= (light[..., None] * tint).astype(np.float32)
    frames += np.float32(config.noise) * rng.standard_normal(frames.shape, dtype=np.float32)
    return np.clip(frames, 0, 255, out=frames).astype(np.uint8)
