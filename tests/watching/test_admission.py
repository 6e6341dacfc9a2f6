"""A live video and a model that is slower than it: in simulated time, and once in real time."""

import time

import numpy as np
import pytest

from keras_tdn.watching import WindowLayout, watch
from keras_tdn.watching.frames import StreamFacts, TimedFrame
from keras_tdn.watching.segments import WindowAdmission, segments_of
from keras_tdn.watching.window_scorer import WindowScorer


class SlowModel:
    """Takes segments from a queue, in the time of the video and not in that of the test.

    Args:
        segment_cost: Spacings that a segment's maps take.
        window_cost: Spacings that a window's scores take.
    """

    def __init__(self, layout, segment_cost, window_cost):
        self.layout = layout
        self.costs = segment_cost, window_cost
        self.queue = []
        self.free_at = 0.0
        self.taken = []
        self.most_waiting = 0
        # By window, when it was scored.
        self.scored = {}

    def put(self, segment):
        self.queue.append(segment)
        self.most_waiting = max(self.most_waiting, len(self.queue))

    def waiting(self, now):
        while self.queue and self.free_at <= now:
            segment = self.queue.pop(0)
            self.free_at = max(self.free_at, segment.index)
            if segment.clip is None:
                continue
            self.taken.append(segment.index)
            self.free_at += self.costs[0]
            size = self.layout.num_segments
            window = self.layout.window_ending_with(segment.index)
            wanted = list(range(segment.index - size + 1, segment.index + 1))
            if window is not None and self.taken[-size:] == wanted:
                self.free_at += self.costs[1]
                self.scored[window] = self.free_at
        return len(self.queue)


def watched(layout, segment_cost, window_cost, num_segments=2000, damage=()):
    """A video of one frame per spacing before that model."""
    model = SlowModel(layout, segment_cost, window_cost)
    now = 0.0

    def frames():
        nonlocal now
        for number in range(num_segments + 1):
            now = number
            reason = "noise" if number in damage else ""
            yield TimedFrame(number, number * layout.spacing, number, reason)

    admission = WindowAdmission(layout, lambda: model.waiting(now))
    crop = lambda chosen: np.zeros(1)  # noqa: E731
    for segment in segments_of(frames(), layout, StreamFacts(), crop, admits=admission):
        model.put(segment)
    model.waiting(1e9)
    return model


SPEEDS = [(0.5, 0.3), (0.9, 0.5), (1.3, 0.0), (2.0, 3.0), (0.3, 20.0), (7.0, 1.0)]


@pytest.mark.parametrize("stride", [1, 2, 3, 8, 11])
@pytest.mark.parametrize(("segment_cost", "window_cost"), SPEEDS)
def test_windows_come_as_long_as_the_video_does(stride, segment_cost, window_cost):
    layout = WindowLayout(8, 1, 8.0, stride)
    model = watched(layout, segment_cost, window_cost)
    # The shares of segments and windows that the model could take at best.
    num_windows = (2000 - 8) // stride + 1
    cost = min(stride, 8) * segment_cost + window_cost
    best = min(num_windows, 2000 / cost)
    assert len(model.scored) >= 0.35 * best
    starts = [layout.first_segment(window) for window in model.scored]
    thirds = np.histogram(starts, bins=3, range=(0, 2000))[0]
    assert thirds.min() >= 0.2 * len(starts)
    # Nothing is computed for a window that does not come.
    used = {start + place for start in starts for place in range(8)}
    # The end of the video may cut the last one short.
    assert len(set(model.taken) - used) < 8 + stride
    assert model.most_waiting <= WindowAdmission.capacity(layout)
    # Late by what waits at most, and not ever later.
    late = max(at - layout.first_segment(w) - 7 for w, at in model.scored.items())
    assert late <= 17 * (segment_cost + window_cost)


@pytest.mark.parametrize("stride", [1, 3, 8, 11])
def test_a_model_that_is_fast_enough_takes_all(stride):
    layout = WindowLayout(8, 1, 8.0, stride)
    # Busy for some spacings now and then, as a window may take longer than a segment.
    model = watched(layout, 0.1, 0.8 * min(stride, 8))
    assert list(model.scored) == list(range(len(model.scored)))
    assert len(model.scored) == (2000 - 8) // stride + 1


def test_no_work_is_done_for_windows_that_damage_has_cost():
    layout = WindowLayout(8, 2, 8.0, stride=8)
    model = watched(layout, 0.1, 0.1, num_segments=50, damage=[12])
    # The segment of frames 11 and 12 has the hole; up to the next window the rest is of no use.
    assert model.taken == [*range(11), *range(16, 50)]
    assert list(model.scored) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize("stride", [1, 4])
def test_a_slow_model_before_a_device(model, monkeypatch, stride):
    """In real time: a segment takes longer than it lasts, and a window comes on top of it."""
    next(watch(model, "testsrc=size=96x64:rate=25:duration=2", format="lavfi", window_seconds=0.8))
    computed = []

    def slow_maps(self, clip, maps_of=WindowScorer.maps_of):
        time.sleep(0.12)
        computed.append(clip)
        return maps_of(self, clip)

    def slow_score(self, maps, score=WindowScorer.score):
        # A run takes the model two to three seconds in all, and the next begins behind it.
        time.sleep(0.06)
        return score(self, maps)

    source = "testsrc=size=96x64:rate=25:duration=6,realtime"
    windows = watch(model, source, format="lavfi", window_seconds=0.4, stride=stride)
    windows._scorer.compile()
    monkeypatch.setattr(WindowScorer, "compile", lambda self: None)
    monkeypatch.setattr(WindowScorer, "maps_of", slow_maps)
    monkeypatch.setattr(WindowScorer, "score", slow_score)
    found = list(windows)
    assert windows.report.seconds > 5.5
    starts = np.array([window.start for window in found])
    assert windows.report.num_lost_windows > 0
    for begin in (0, 2, 4):
        assert ((starts >= begin) & (starts < begin + 2)).any()
    # Each was of use to a window, but for those of one that the end cut short.
    used = {round(start / 0.1) + place for start in starts for place in range(4)}
    assert len(computed) <= len(used) + 4
