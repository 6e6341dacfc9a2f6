"""Scores along a video, window by window."""

from __future__ import annotations

import collections
import math
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from keras_tdn.data.decoding.interface import VideoSource
from keras_tdn.models import TDNResNet
from keras_tdn.watching.frames import StreamFacts
from keras_tdn.watching.layout import Window, WindowLayout, make_layout
from keras_tdn.watching.opening import StreamOptions, find_source
from keras_tdn.watching.segments import Segment, SegmentFeed, WindowAdmission, stream_segments
from keras_tdn.watching.timeline import LossList, WatchReport
from keras_tdn.watching.window_scorer import WindowScorer

TOO_SLOW = "the model was slower than the video"


def watch(
    model: TDNResNet,
    video: VideoSource,
    *,
    window_seconds: float | None = None,
    stride: int = 1,
    first_window: int = 0,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    live: bool | None = None,
    timeout_seconds: float = 20.0,
    num_threads: int = 1,
    max_seconds: float | None = None,
) -> Watch:
    """Scores a video of any length, or a camera, in windows that slide over it.

    Use it where one answer for a whole video is too little; `predict_video` gives that one. Each
    segment's part of the network (stem, stage 1 and the start of stage 2) is computed once and kept
    while a window needs it; scores are those of each window computed from scratch. Memory does not
    grow with the video. Damage costs the segments that it spoils, and the windows that have them.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 3; arXiv:2012.10071.

    Args:
        model: A `TDNResNet` with its classifier. If it gives logits, a softmax turns them into
            probabilities.
        video: The path of a file, its content as bytes, a binary file object, `"-"` for standard
            input, an address such as `"rtsp://camera/stream"`, or a camera such as
            `"/dev/video0"`.
        window_seconds: Length of a window, in seconds: about as long as the videos that the model
            was trained on. `None` takes that of the data set whose labels the model has.
        stride: Segments from one window to the next; windows start every
            `stride * window_seconds / num_segments` seconds.
        first_window: The first window that is scored, to continue where another run stopped. What
            comes before is only decoded.
        format: See `StreamOptions`; here and below.
        options: Options of FFmpeg.
        live: Whether to leave out segments when the model is slower than the video, in runs, so
            that the others make whole windows.
        timeout_seconds: How long to wait for a sender or a camera, in seconds.
        num_threads: Threads for decoding.
        max_seconds: How much of the video is watched, but for the first window, which is scored
            however long it is; `None` for all. `Watch.is_cut` says whether there was more.

    Returns:
        A `Watch`, an iterator of `Window`, in order. Its `report` says what was lost.

    Raises:
        ValueError: if an argument does not fit. While iterating, a `VideoDecodeError` if the video
            does not open or has no frame that decodes.

    Example:

    >>> model = keras_tdn.TDNResNet50(weights="kinetics400")
    >>> for window in keras_tdn.watching.watch(model, "video.mp4", stride=4):
    ...     best = keras_tdn.decode_predictions(window.scores[None], 1, model.labels)[0][0]
    ...     print(window.start, window.end, best.label, best.score)
    """
    how = StreamOptions(format, options or {}, live, timeout_seconds, num_threads)
    return Watch(model, video, window_seconds, stride, first_window, how, max_seconds)


class Watch:
    """The iterator that `watch` returns; close it, or use it as a context, to stop early."""

    def __init__(
        self,
        model: TDNResNet,
        video: VideoSource,
        window_seconds: float | None = None,
        stride: int = 1,
        first_window: int = 0,
        how: StreamOptions | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self._scorer = WindowScorer(model)
        self.model = model
        self.layout = make_layout(model, window_seconds, stride)
        if isinstance(first_window, bool) or not isinstance(first_window, int) or first_window < 0:
            raise ValueError(
                "`first_window` is the index of the first window to score, an integer of at least "
                f"0. Received: first_window={first_window!r}"
            )
        if max_seconds is not None and (
            not isinstance(max_seconds, int | float) or not 0 < max_seconds < math.inf
        ):
            raise ValueError(
                f"`max_seconds` is a positive number or None. Received: max_seconds={max_seconds!r}"
            )
        self._first_window = first_window
        self._max_seconds = max_seconds
        self._how = StreamOptions() if how is None else how
        self.source = find_source(video, self._how)
        self._facts = StreamFacts()
        self._losses = LossList(self.layout.spacing)
        self._num_windows = self._num_lost = 0
        self._finished = False
        # Without a reference to this object, which would keep alive what nobody iterates: it ends,
        # and with it the thread that reads, when the last reference to it goes.
        self._windows = Watch._iterate(weakref.proxy(self))

    def __iter__(self) -> Iterator[Window]:
        return self

    def __next__(self) -> Window:
        return next(self._windows)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops reading the video."""
        self._windows.close()

    @property
    def duration(self) -> float | None:
        """Seconds that the video's header states; `None` before it is open or if there are none."""
        return self._facts.duration

    @property
    def is_cut(self) -> bool:
        """Whether the video was read no further because of `max_seconds`."""
        return self._facts.is_cut

    @property
    def report(self) -> WatchReport:
        """What was watched and lost so far."""
        return WatchReport(
            num_windows=self._num_windows,
            num_lost_windows=self._num_lost,
            num_frames=self._facts.num_frames,
            seconds=round(self._facts.seconds, 6),
            losses=self._losses.losses,
            finished=self._finished,
            ending=self._facts.ending,
        )

    def _iterate(self) -> Generator[Window, None, None]:
        layout = self.layout
        if self.source.live:
            # Compiling takes seconds, in which a live video would run away.
            self._scorer.compile()

        # Of the thread, too, none may keep this object alive.
        source, how, spec, facts = self.source, self._how, self.model.clip_spec, self._facts
        first, most = layout.first_segment(self._first_window), self._max_seconds

        def make_segments(waiting: Callable[[], int]) -> Iterator[Segment]:
            admits = WindowAdmission(layout, waiting) if source.live else lambda _: True
            return stream_segments(source, how, layout, spec, facts, first, admits, most)

        # Maps of the latest segments; the reason where they are lost, `None` where not wanted.
        ring: collections.deque[Any] = collections.deque(maxlen=layout.num_segments)
        latest: tuple[Any, Any] = (None, None)
        room = WindowAdmission.capacity(layout) if source.live else layout.num_segments
        feed = SegmentFeed(make_segments, room)
        try:
            for segment in _with_skipped(feed, layout, facts):
                item: Any = segment.loss or None
                stop = segment.index + segment.count
                if segment.loss:
                    self._losses.add(segment.index, segment.loss, segment.count)
                elif segment.clip is not None:
                    if latest[0] is not segment.clip:
                        latest = segment.clip, self._scorer.maps_of(segment.clip)
                    item = latest[1]
                if segment.count > 1:
                    ring.extend([item] * min(segment.count, layout.num_segments))
                    self._num_lost += layout.num_windows_ending(segment.index, stop)
                    continue
                ring.append(item)
                window = layout.window_ending_with(segment.index)
                if window is None:
                    continue
                if any(isinstance(item, str) for item in ring):
                    self._num_lost += 1
                elif window >= self._first_window:
                    yield self._window(window, self._scorer.score(ring))
            self._finished = True
        finally:
            feed.close()

    def _window(self, index: int, scores: np.ndarray) -> Window:
        self._num_windows += 1
        layout = self.layout
        return Window(index, layout.window_start(index), layout.window_end(index), scores)


def _with_skipped(
    segments: Iterable[Segment], layout: WindowLayout, facts: StreamFacts
) -> Iterator[Segment]:
    """Puts in the segments that were left out."""
    expected = 0
    for segment in segments:
        yield from _skipped(expected, segment.index, layout)
        yield segment
        expected = segment.index + segment.count
    yield from _skipped(expected, facts.num_segments, layout)


def _skipped(start: int, stop: int, layout: WindowLayout) -> Iterator[Segment]:
    for index in range(start, stop):
        # What no window has is no loss.
        yield Segment(index, None, TOO_SLOW if layout.is_used(index) else "")
