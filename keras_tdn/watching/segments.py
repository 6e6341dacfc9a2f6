"""From the frames of a stream to segments, each ready for the model."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import numpy as np

from keras_tdn.data.decoding.frame_conversion import FrameConverter, square_size
from keras_tdn.data.decoding.interface import VideoDecodeError
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.specs import ClipSpec
from keras_tdn.watching.frames import StreamFacts, TimedFrame, timed_frames
from keras_tdn.watching.layout import WindowLayout
from keras_tdn.watching.opening import Source, StreamOptions, open_stream

# No more frames than this are shown in a second.
MAX_RATE = 240


@dataclasses.dataclass(frozen=True, eq=False)
class Segment:
    """Neighbouring frames of a video."""

    # How many segments come before it.
    index: int
    # Its frames as the model sees them, uint8 of shape `(frames, height, width, 3)`. `None` where
    # it is lost or not needed. Of a still picture, neighbours may be the same array.
    clip: np.ndarray | None
    # Why it is lost; empty if it is not.
    loss: str = ""
    # How many neighbours, from this one on, are lost for that reason: a hole costs the same however
    # long a file says that it is.
    count: int = 1


class FrameCropper:
    """Turns decoded frames into what the model sees, the same pixels as in `predict_video`."""

    def __init__(self, name: str, stream: Any, clip_spec: ClipSpec) -> None:
        self._stream = stream
        self._clip_spec = clip_spec
        # The model has more use for the other processors.
        self._converter = FrameConverter(name, num_threads=1)
        self._stored_size: tuple[int, int] | None = None

    def crop(self, frames: Iterable[TimedFrame]) -> np.ndarray:
        """uint8 pixels of shape `(number of frames, height, width, 3)`."""
        crops = []
        for frame in frames:
            picture = frame.picture
            if self._stored_size is None:
                # Frames whose size changes along the way are scaled to the size of the first.
                self._stored_size = square_size(self._stream, picture.height, picture.width)
            size = self._converter.upright_size(picture, *self._stored_size)
            pixels = self._converter.convert(picture, *size)
            crops.append(resize_and_center_crop(pixels[np.newaxis], self._clip_spec)[0])
        return np.stack(crops)


def segments_of(
    frames: Iterable[TimedFrame],
    layout: WindowLayout,
    facts: StreamFacts,
    crop: Callable[[Iterable[TimedFrame]], np.ndarray],
    first_segment: int = 0,
    admits: Callable[[int], bool] = lambda _: True,
    max_segments: int | None = None,
) -> Iterator[Segment]:
    """Cuts segments out of frames as they come, with no more frames in memory than a segment has.

    A video that ends before the first window does is filled up with its last frames, as a short
    clip is in `predict_video`. Pixels are wanted from `first_segment` on, and segments that
    `admits` does not take, by their index, are left out. Fills in `facts`.
    """
    size = layout.frames_per_segment
    # From the one on screen at the moment of the next segment on.
    held: collections.deque[TimedFrame] = collections.deque()
    index = 0
    latest_lost = -1
    none_damaged = True
    latest: tuple[int, np.ndarray] | None = None

    def make(chosen: list[TimedFrame]) -> Segment:
        nonlocal latest
        # With wide strides, what follows a loss is not needed up to the start of the next window.
        is_useful = layout.is_used(index) and layout.latest_start(index) > latest_lost
        if index < first_segment or not is_useful:
            return Segment(index, None)
        if latest is None or latest[0] != chosen[0].number:
            latest = chosen[0].number, crop(chosen)
        return Segment(index, latest[1])

    def drop_past() -> None:
        moment = layout.segment_time(index) + facts.tolerance
        while len(held) > 1 and held[1].time <= moment:
            held.popleft()

    for frame in frames:
        held.append(frame)
        while True:
            drop_past()
            # Only the next frame shows that the first one is still on screen.
            if len(held) < max(size, 2):
                break
            if index == max_segments:
                facts.is_cut = True
                return
            following = itertools.islice(held, 1, max(size, 2))
            hole = next((frame.damage for frame in following if frame.damage), "")
            if hole:
                none_damaged = False
                stop = layout.first_segment_at(held[1].time, facts.tolerance)
                if max_segments is not None:
                    stop = min(stop, max_segments)
                latest_lost = stop - 1
                yield Segment(index, None, hole, stop - index)
                index = stop
            else:
                if admits(index):
                    yield make(list(itertools.islice(held, size)))
                else:
                    latest_lost = index
                index += 1
            facts.num_segments = index
    if held and none_damaged and index < layout.num_segments and first_segment == 0:
        while index < layout.num_segments:
            drop_past()
            last = len(held) - 1
            yield make([held[min(place, last)] for place in range(size)])
            index += 1
            facts.num_segments = index


def stream_segments(
    source: Source,
    how: StreamOptions,
    layout: WindowLayout,
    clip_spec: ClipSpec,
    facts: StreamFacts,
    first_segment: int = 0,
    admits: Callable[[int], bool] = lambda _: True,
    max_seconds: float | None = None,
) -> Generator[Segment, None, None]:
    """Opens a video and cuts segments out of it: `max_seconds`, but at least the first window."""
    max_packets = max_segments = None
    if max_seconds is not None:
        # Where time stands still, there is an end as well.
        max_packets = math.ceil(max(max_seconds, layout.window_seconds) * MAX_RATE)
        # Those of windows that end within that time, but for rounding.
        max_segments = max(int(max_seconds / layout.spacing + 1e-6), layout.num_segments)
    with open_stream(source, how) as (container, stream):
        frames = timed_frames(container, stream, facts, how.timeout_seconds, max_packets)
        crop = FrameCropper(source.name, stream, clip_spec).crop
        yield from segments_of(frames, layout, facts, crop, first_segment, admits, max_segments)
    if facts.num_frames == 0:
        why = f" ({facts.ending})" if facts.ending else ""
        raise VideoDecodeError(
            f"Cannot watch {source.name}: not one of its frames decodes{why}. It is damaged or "
            "incomplete; fetch or encode it again."
        )


class WindowAdmission:
    """Takes a live video's windows whole or not at all, because with a hole one is worth nothing.

    A window is promised at its first segment, while there is room for all of it, and then gets
    every segment. When too much waits, what follows is left out until the model has caught up: that
    gives long runs of windows that share their segments' work. `waiting` says how many wait.
    """

    def __init__(self, layout: WindowLayout, waiting: Callable[[], int]) -> None:
        self._layout = layout
        self._waiting = waiting
        self._is_behind = False
        # The first segment that no window has been promised.
        self._promised = 0

    @staticmethod
    def capacity(layout: WindowLayout) -> int:
        """Returns how many segments may wait: those of a window, and of one that is promised."""
        return 2 * layout.num_segments

    def __call__(self, index: int) -> bool:
        """Returns whether to take that segment. Segments are asked about in order, each once."""
        layout = self._layout
        if layout.latest_start(index) == index:
            self._is_behind = self._waiting() > (0 if self._is_behind else layout.num_segments)
            if not self._is_behind:
                self._promised = index + layout.num_segments
        if layout.is_used(index):
            return index < self._promised
        # Cheap, but the reader of a live video must not be made to wait.
        return self._waiting() < self.capacity(layout)
