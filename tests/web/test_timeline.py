import re

import numpy as np

from keras_tdn.pages.plots import COLORS
from keras_tdn.watching import SpanMerger, Window, WindowLayout
from keras_tdn.watching.timeline_page import MAX_POINTS
from keras_tdn.web.showing import MAX_ROWS, timeline_html

LAYOUT = WindowLayout(num_segments=4, frames_per_segment=5, window_seconds=2.0)
LABELS = tuple(f"class <{number}>" for number in range(6))


def window(index, best, score=0.9):
    scores = np.full(len(LABELS), (1 - score) / (len(LABELS) - 1), np.float32)
    scores[best] = score
    return Window(index, LAYOUT.window_start(index), LAYOUT.window_end(index), scores)


def drawn(windows, seconds=0.0):
    merger = SpanMerger(LAYOUT)
    spans = [span for each in windows for span in merger.add(each)] + merger.finish()
    return timeline_html(windows, spans, LABELS, seconds)


def curves(html):
    """Points of the curves of the first of both drawings, piece by piece."""
    first = html.split("</svg>")[0]
    found = re.findall(r'<path d="([^"]*)" style="fill: none; stroke: var\(--(\w+)\)', first)
    return [
        np.array([point.split() for point in piece.split("L")], float)
        for name in COLORS[:3]
        for path, color in found
        if color == name
        for piece in path.split("M")[1:]
    ]


def test_curves_are_of_the_classes_that_were_ahead():
    html = drawn([window(0, 3), window(1, 3), window(2, 1, 0.7)], seconds=4.0)
    # In the order in which they were ahead; names are escaped.
    names = re.findall(r"\u25cf ([^<]*)</span>", html)
    assert names == ["class &lt;3&gt;", "class &lt;1&gt;"]
    three, one = curves(html)
    assert len(three) == len(one) == 3
    # SVG counts downwards.
    assert three[1, 1] < three[2, 1]
    assert one[1, 1] > one[2, 1]
    # Windows begin every half second: equal steps, an eighth of the four seconds each.
    steps = np.diff(three[:, 0])
    np.testing.assert_allclose(steps, steps[0], atol=0.01)
    assert 600 / 8 < steps[0] < 760 / 8
    assert "0 s \u2013 1.8 s</td>" in html
    assert "80.0\u00a0%" not in html
    assert "90.0\u00a0%</td>" in html


def test_a_lost_window_interrupts_the_curve():
    assert [
        len(points) for points in curves(drawn([window(0, 0), window(1, 0), window(3, 0)]))
    ] == [
        2,
        1,
    ]


def test_long_videos_are_drawn_with_as_many_points_as_there_is_room_for():
    num = 5 * MAX_POINTS + 7
    html = drawn([window(index, index % 2) for index in range(num)])
    first, second = curves(html)
    assert 0.9 * MAX_POINTS < len(first) == len(second) <= MAX_POINTS
    assert f"and {num - MAX_ROWS} more" in html
    assert html.count("<tr>") == 1 + MAX_ROWS


def test_nothing_yet():
    assert drawn([]) == ""
