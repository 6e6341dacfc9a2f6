"""How windows and segments lie over a video."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

import numpy as np

from keras_tdn.datasets.motion.rendering import MOTION_LABELS
from keras_tdn.labels import load_labels
from keras_tdn.scoring.scoring_options import check_positive

# About how long the videos of these data sets are, in seconds: what a model has learnt to see in
# one clip. Motion's have 32 frames at 25 per second, of which 28 are a clip's span.
TRAINING_SECONDS = {
    "kinetics400": 10.0,
    "something_something_v1": 4.0,
    "something_something_v2": 4.0,
}
MOTION_SECONDS = 1.12


@dataclasses.dataclass(frozen=True)
class WindowLayout:
    """Where segments and windows lie on the time axis of a video.

    Time, in seconds since the first frame, is divided into spans of equal length, `spacing`. A
    segment is the `frames_per_segment` neighbouring frames that start with the one on screen in the
    middle of a span, a window `num_segments` neighbouring spans, as a whole video is in training
    and in `predict_video`; windows start every `stride` spans.

    Args:
        num_segments: Segments in a window.
        frames_per_segment: Neighbouring frames in a segment.
        window_seconds: Length of a window.
        stride: Spans from the start of one window to that of the next.

    Raises:
        ValueError: if an argument is not positive.

    Example:

    >>> layout = WindowLayout(num_segments=8, frames_per_segment=5, window_seconds=4.0)
    >>> layout.spacing, layout.segment_time(0), layout.window_start(3)
    (0.5, 0.25, 1.5)
    """

    num_segments: int
    frames_per_segment: int
    window_seconds: float
    stride: int = 1

    def __post_init__(self) -> None:
        check_positive("num_segments", self.num_segments, "WindowLayout")
        check_positive("frames_per_segment", self.frames_per_segment, "WindowLayout")
        seconds, stride = self.window_seconds, self.stride
        is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
        # A span below a microsecond would be lost in the rounding of times.
        if not is_number or not 1e-3 <= seconds <= 1e6:
            raise ValueError(
                "`window_seconds` is a number from 0.001 to 1000000, the length of a window. "
                f"Received: window_seconds={self.window_seconds!r}"
            )
        is_integer = isinstance(stride, numbers.Integral) and not isinstance(stride, bool)
        if not is_integer or stride < 1:
            raise ValueError(
                "`stride` is a positive integer, the segments from one window to the next. "
                f"Received: stride={self.stride!r}"
            )
        object.__setattr__(self, "window_seconds", float(seconds))
        object.__setattr__(self, "stride", int(stride))

    @property
    def spacing(self) -> float:
        """Seconds from one segment to the next."""
        return self.window_seconds / self.num_segments

    def segment_time(self, segment: int) -> float:
        """Returns when the first frame of that segment is on screen."""
        return (segment + 0.5) * self.spacing

    def first_segment_at(self, time: float, tolerance: float) -> int:
        """Returns the first segment whose time, plus the tolerance, is not before the given one."""
        segment = max(math.ceil((time - tolerance) / self.spacing - 0.5), 0)
        # The quotient is rounded; what counts is the segment's own time.
        while segment and self.segment_time(segment - 1) + tolerance >= time:
            segment -= 1
        while self.segment_time(segment) + tolerance < time:
            segment += 1
        return segment

    def window_start(self, window: int) -> float:
        """Returns the start of the first span of that window, to the microsecond."""
        return round(window * self.stride * self.spacing, 6)

    def window_end(self, window: int) -> float:
        """Returns the end of its last span, to the microsecond."""
        return round((window * self.stride + self.num_segments) * self.spacing, 6)

    def first_segment(self, window: int) -> int:
        """Returns the segment that a window starts with."""
        return window * self.stride

    def window_ending_with(self, segment: int) -> int | None:
        """Returns the window whose last segment that is, if there is one."""
        first = segment - self.num_segments + 1
        return first // self.stride if first >= 0 and first % self.stride == 0 else None

    def num_windows_ending(self, start: int, stop: int) -> int:
        """Returns how many windows have their last segment in `range(start, stop)`."""
        first, last = max(start - self.num_segments + 1, 0), stop - self.num_segments
        return last // self.stride - (first - 1) // self.stride if last >= first else 0

    def latest_start(self, segment: int) -> int:
        """Returns the latest segment, up to that one, that a window starts with."""
        return segment - segment % self.stride

    def is_used(self, segment: int) -> bool:
        """Returns whether some window has that segment; with wide strides some have none."""
        return segment % self.stride < self.num_segments


def make_layout(model: Any, window_seconds: float | None, stride: int) -> WindowLayout:
    """Returns the layout for a model's clips, by default as long as the videos of its labels."""
    if window_seconds is None:
        known = {load_labels(name): seconds for name, seconds in TRAINING_SECONDS.items()}
        known[MOTION_LABELS] = MOTION_SECONDS
        window_seconds = known.get(tuple(getattr(model, "labels", None) or ()))
        if window_seconds is None:
            raise ValueError(
                "The model does not say how long a window should be: its labels are not those of "
                f"{', '.join(TRAINING_SECONDS)} or motion. Pass `window_seconds` (on the command "
                "line --window SECONDS): about as long as the videos that it was trained on."
            )
    spec = model.clip_spec
    return WindowLayout(spec.num_segments, spec.frames_per_segment, window_seconds, stride)


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a video and its scores.

    Args:
        index: How many windows come before it, lost ones included.
        start: Its start, in seconds since the first frame.
        end: Its end.
        scores: One for each class, float32; probabilities where the model gives those or logits.
    """

    index: int
    start: float
    end: float
    scores: np.ndarray
