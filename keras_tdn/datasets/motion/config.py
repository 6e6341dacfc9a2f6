"""Settings that decide the pixels of a motion data set, besides seed and index."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

# A frame side must be even, because the files store colour at half the resolution.
INTEGERS = {
    "num_frames": (5, 1000),
    "size": (32, 512),
    "frame_rate": (1, 240),
    "quantizer": (1, 51),
}
RANGES = {
    "move_speed": (1e-4, 0.5),
    "turn_speed": (1e-2, 90.0),
    "zoom_speed": (1e-4, 1.0),
}
NUMBERS = {
    "turning_jitter": (0.0, 100.0),
    "shake": (0.0, 0.1),
    "noise": (0.0, 50.0),
}


@dataclasses.dataclass(frozen=True)
class MotionConfig:
    """Settings of the videos of a motion data set.

    Args:
        num_frames: Frames in a video.
        size: Height and width in pixels, even.
        move_speed: Slowest and fastest movement, in frame sides per frame. Between them every
            doubling is as likely, here and below.
        turn_speed: Slowest and fastest rotation, in degrees per frame.
        zoom_speed: Slowest and fastest change of size, in doublings per frame.
        turning_jitter: How many frames earlier or later a motion turns back than it would in equal
            parts of the video, at most.
        shake: Standard deviation of the camera's shaking, in frame sides. All classes have it.
        noise: Standard deviation of the camera's noise, in pixel values of [0, 255].
        frame_rate: Frames per second that the files state.
        quantizer: How coarsely H.264 stores a frame, from 1 to 51. It is constant, and every frame
            is stored on its own, so that compression cannot tell how a frame's neighbours look.

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
        for field, (least, most) in INTEGERS.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(
                    f"MotionConfig needs an integer from {least} to {most} for `{field}`. "
                    f"Received: {field}={value!r}"
                )
        if self.size % 2:
            raise ValueError(
                f"MotionConfig needs an even `size`, as H.264 does. Received: size={self.size}"
            )
        for field, limits in RANGES.items():
            object.__setattr__(self, field, self._range(field, *limits))
        for field, (low, high) in NUMBERS.items():
            value = getattr(self, field)
            if not _is_number(value) or not low <= value <= high:
                raise ValueError(
                    f"MotionConfig needs a number from {low} to {high} for `{field}`. "
                    f"Received: {field}={value!r}"
                )

    def to_config(self) -> dict[str, Any]:
        """Returns a dict that JSON can hold."""
        config = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in config.items()}

    def _range(self, field: str, least: float, most: float) -> tuple[float, float]:
        value = getattr(self, field)
        pair = tuple(value) if isinstance(value, (tuple, list)) else ()
        if (
            len(pair) != 2
            or not all(map(_is_number, pair))
            or not least <= pair[0] <= pair[1] <= most
        ):
            raise ValueError(
                f"MotionConfig needs two numbers for `{field}`, ascending, from {least} to {most}. "
                f"Received: {field}={value!r}"
            )
        return pair


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
