"""Scores along a video, window by window."""

from __future__ import annotations

import collections
import contextlib
import itertools
import math
import queue
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from keras_tdn.data.decoding.interface import VideoSource
from keras_tdn.models import TDNResNet
from keras_tdn.scoring.scoring_run import read_ahead
from keras_tdn.specs import check_integer
from keras_tdn.watching.frames import StreamFacts
from keras_tdn.watching.layout import Window, WindowLayout, make_layout
from keras_tdn.watching.opening import StreamOptions, find_source
from keras_tdn.watching.segments import Segment, WindowAdmission, stream_segments
from keras_tdn.watching.timeline import Loss, WatchReport
from keras_tdn.watching.window_scorer import WindowScorer

TOO_SLOW = "the model was slower than the video"
# A stream may be bad for ever.
MAX_LOSSES = 1000
MANY_REASONS = "many more, for several reasons"
# A sender that is waited for cannot be interrupted.
JOIN_SECONDS = 2.0


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

    Each segment's part of the network (stem, stage 1 and the start of stage 2) is computed once and
    kept while a window needs it; scores are those of each window computed from scratch. Memory does
    not grow with the video. Damage costs the segments that it spoils, and the windows that have
    them. See section 3 of the paper (arXiv:2012.10071).

    Args:
        model: A `TDNResNet` with its classifier. If it gives logits, a softmax turns them into
            probabilities.
        video: The path of a file, its content as bytes, a binary file object, `"-"` for standard
            input, an address such as `"rtsp://camera/stream"`, or a camera such as
            `"/dev/video0"`.
        window_seconds: Length of a window: about as long as the videos that the model was trained
            on. `None` takes that of the data set whose labels the model has.
        stride: Segments from one window to the next; windows start every
            `stride * window_seconds / num_segments` seconds.
        first_window: The first window that is scored; what comes before is only decoded.
        format: See `StreamOptions`; also `options`, `live`, `timeout_seconds` and `num_threads`.
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


class Watch(Iterator[Window], contextlib.AbstractContextManager["Watch"]):
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
        check_integer("Watching's", "first_window", first_window, 0)
        is_number = isinstance(max_seconds, int | float) and 0 < max_seconds < math.inf
        if max_seconds is not None and not is_number:
            raise ValueError(
                f"`max_seconds` is a positive number or None. Received: max_seconds={max_seconds!r}"
            )
        self._first_window = first_window
        self._max_seconds = max_seconds
        self._how = StreamOptions() if how is None else how
        self.source = find_source(video, self._how)
        self._facts = StreamFacts()
        # Lost segments from one on and up to another, and why.
        self._losses: list[tuple[int, int, str]] = []
        self._num_windows = self._num_lost = 0
        self._finished = False
        # Without a reference to this object, which would keep alive what nobody iterates: it ends,
        # and with it the thread that reads, when the last reference to it goes.
        self._windows = Watch._iterate(weakref.proxy(self))

    def __next__(self) -> Window:
        return next(self._windows)

    def __exit__(self, *details: object) -> None:
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
        spacing = self.layout.spacing
        losses = tuple(
            Loss(round(start * spacing, 6), round(stop * spacing, 6), reason)
            for start, stop, reason in self._losses
        )
        counts = self._num_windows, self._num_lost, self._facts.num_frames
        seconds = round(self._facts.seconds, 6)
        return WatchReport(*counts, seconds, losses, self._finished, self._facts.ending)

    def _iterate(self) -> Generator[Window, None, None]:
        layout = self.layout
        if self.source.live:
            # Compiling takes seconds, in which a live video would run away.
            self._scorer.compile()

        # Of the thread that reads, too, none may keep this object alive.
        live, facts = self.source.live, self._facts
        waiting: queue.Queue[Any] = queue.Queue(
            WindowAdmission.capacity(layout) if live else layout.num_segments
        )
        admits = WindowAdmission(layout, waiting.qsize) if live else lambda _: True
        first, spec = layout.first_segment(self._first_window), self.model.clip_spec
        made = stream_segments(
            self.source, self._how, layout, spec, facts, first, admits, self._max_seconds
        )

        # Maps of the latest segments; the reason where they are lost, `None` where not wanted.
        ring: collections.deque[Any] = collections.deque(maxlen=layout.num_segments)
        latest: tuple[Any, Any] = (None, None)
        with contextlib.closing(read_ahead(made, waiting, JOIN_SECONDS)) as segments:
            for segment in _with_skipped(segments, layout, facts):
                item: Any = segment.loss or None
                stop = segment.index + segment.count
                if segment.loss:
                    self._add_loss(segment.index, stop, segment.loss)
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
                    scores = self._scorer.score(ring)
                    self._num_windows += 1
                    start, end = layout.window_start(window), layout.window_end(window)
                    yield Window(window, start, end, scores)
            self._finished = True

    def _add_loss(self, start: int, stop: int, reason: str) -> None:
        """Joins neighbours of one reason, and whatever comes once there are many."""
        if self._losses:
            first, end, last = self._losses[-1]
            if len(self._losses) == MAX_LOSSES or (end == start and last == reason):
                self._losses[-1] = first, stop, last if last == reason else MANY_REASONS
                return
        self._losses.append((start, stop, reason))


def _with_skipped(
    segments: Iterable[Segment], layout: WindowLayout, facts: StreamFacts
) -> Iterator[Segment]:
    expected = 0
    for segment in itertools.chain(segments, (None,)):
        for index in range(expected, facts.num_segments if segment is None else segment.index):
            # What no window has is no loss.
            yield Segment(index, None, TOO_SLOW if layout.is_used(index) else "")
        if segment is not None:
            yield segment
            expected = segment.index + segment.count
