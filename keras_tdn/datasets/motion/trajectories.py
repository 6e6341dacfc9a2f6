"""The classes: how the scene moves over the frames of a video."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_tdn.datasets.motion.config import MotionConfig


@dataclasses.dataclass(frozen=True)
class MotionClass:
    """One way in which the scene of a video moves before the camera.

    Args:
        label: Its name. The directions are called left and right where a mirror exchanges them, so
            that `keras_tdn.data.flip_map` finds every pair.
        right: Direction in x, -1, 0 or 1.
        down: Direction in y.
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


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Where the scene has moved to, by frame; all of shape `(num_frames,)`.

    Args:
        x: Pixels to the right.
        y: Pixels downwards.
        angle: Radians, clockwise.
        octaves: Doublings of the size.
    """

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    octaves: np.ndarray


def draw_trajectory(
    motion: MotionClass, config: MotionConfig, rng: np.random.Generator
) -> Trajectory:
    """Draws speeds, the turning point and the camera's shaking, and adds them up over the frames.

    Every class takes the same draws from `rng`, so that with one seed the videos of two classes
    differ in their motion alone.
    """
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
    return Trajectory(
        x=motion.right * move * config.size * progress + shake[0],
        y=motion.down * move * config.size * progress + shake[1],
        angle=motion.turn * np.deg2rad(turn) * progress,
        octaves=motion.grow * zoom * progress,
    )
