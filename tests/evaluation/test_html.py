import base64
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.html import (
    Bar,
    Line,
    Plot,
    Tile,
    bar_chart,
    clock_text,
    document,
    encode_png,
    escape,
    facts,
    heat_color,
    heat_picture,
    heat_table,
    line_chart,
    percent,
    picture,
    picture_strip,
    section,
    shrink,
    table,
    tiles,
)
from keras_tdn.html.plot import bar_range, nice_ticks

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)


def test_png_files_are_read_back():
    for pixels in (PIXELS, PIXELS[:1, :1], np.zeros((40, 300, 3), np.uint8)):
        np.testing.assert_array_equal(tf.io.decode_png(encode_png(pixels)), pixels)


def test_pictures_hold_their_data():
    html = picture(PIXELS, 'a "b"', width=50, lossless=True)
    assert 'alt="a &quot;b&quot;" width="50" height="70"' in html
    data = base64.b64decode(re.search(r"base64,([^\"]*)", html)[1])
    np.testing.assert_array_equal(tf.io.decode_png(data), PIXELS)
    assert 'width="5" height="7"' in picture(PIXELS, "")
    assert picture(PIXELS, "").count("data:image/jpeg") == 1
    strip = picture_strip([np.zeros((480, 640, 3), np.uint8)] * 3, "x", captions=["a", "b", "<"])
    assert strip.count('width="120" height="90"') == 3
    assert "<figcaption>&lt;</figcaption>" in strip


def test_shrinking_takes_means_of_whole_blocks():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    result = shrink(pixels, 2)
    expected = pixels.reshape(2, 2, 3, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_array_equal(result, np.rint(expected))
    np.testing.assert_array_equal(shrink(pixels, 4), pixels)
    # What is left over at the far edge is dropped, and a narrow picture keeps a column.
    assert shrink(np.zeros((100, 2, 3), np.uint8), 9).shape == (8, 1, 3)


def test_texts():
    assert escape("<\udcff\x00&>") == "&lt;\ufffd\ufffd&amp;&gt;"
    assert percent(0.1234) == "12.3\u00a0%"
    assert percent(None) == "\u2013"
    assert "<dd>&lt;b&gt;</dd>" in facts([("a", "<b>")])
    assert "<b>76 %</b>" in tiles([Tile("76 %", "top-1", "note")])
    html = table(["name", "n"], [["a", 1], ["b", "20 %"]])
    assert "<td>a</td><td class=number>1</td>" in html
    page = document("T<", section("H", "<p>x</p>", "note"), lead="L")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>T&lt;</title>" in page


def test_bars():
    html = bar_chart([Bar("a", 0.5, note="n"), Bar("b", None), Bar("c", 3.0)], columns=2)
    assert re.findall(r"width:([\d.]+)%", html) == ["50.0", "0.0", "100.0"]
    assert "50.0\u00a0%" in html
    assert "column-count:2" in html
    assert "width:25.0%" in bar_chart([Bar("a", 1.0)], maximum=4)


def test_heat():
    assert heat_color(0) == (255, 255, 255)
    assert heat_color(1) == (16, 44, 89)
    assert heat_color(0.25) == (201, 218, 240)
    counts = np.array([[3, 1], [0, 0]])
    html = heat_table(counts, ["a", "b"], row_name="true", column_name="said")
    assert "a \u2192 b: 1 (25.0 %)" in html
    assert "background:rgb(201,218,240)" in html
    assert 'width="90" height="90"' in heat_picture(np.eye(30, dtype=int), "x", side=100)


def test_bars_of_nothing_have_an_axis_too():
    assert bar_range([0.0, 0.0]) == (0.0, 1.0)
    assert bar_range([0.0, 50.0]) == (0.0, 54.0)
    assert bar_range([-50.0]) == (-54.0, 0.0)
    assert bar_range([-25.0, 25.0]) == (-29.0, 29.0)


def test_curves():
    assert nice_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(0.69, 0.742) == [0.69, 0.7, 0.71, 0.72, 0.73, 0.74]
    assert nice_ticks(0.5, 0.5) == [0.5]
    plot = Plot((1, 100), (0, 1), [1, 10], [0, 1], "x", "y", log_x=True, width=326, height=160)
    assert (plot.x(1), plot.x(10), plot.x(100)) == (80, pytest.approx(190), 300)
    assert (plot.y(0), plot.y(0.5), plot.y(1)) == (114, 64, 14)
    html = line_chart(
        [Line("a", [(1, 0.5), (2, 0.75)]), Line("b", [(1, 0.5)])], "x", "y", description="d"
    )
    assert html.count("<circle") == 3
    assert "75.0\u00a0%" in html
    assert "<svg" in line_chart([Line("a", [(1, 0.5)])], "x", "y", description="d", log_x=True)
    whole = line_chart([Line("a", [(1, 1.0), (2, 1.0)])], "x", "y", description="d")
    assert "100.0\u00a0%" in whole
    assert "102.0" not in whole


def test_wrong_arguments_are_told():
    for call, message in (
        (lambda: bar_chart([], maximum=0), "positive `maximum`"),
        (lambda: line_chart([], "x", "y", description=""), "one to 4 lines"),
        (lambda: Plot((1, 1), (0, 1), [], [], "", ""), "from a smaller to a greater"),
        (lambda: Plot((0, 1), (0, 1), [], [], "", "", log_x=True), "positive on a logarithmic"),
        (lambda: picture(PIXELS.astype(float), ""), "uint8 array.*float64"),
        (lambda: encode_png(PIXELS[0]), r"shape=\(5, 3\)"),
        (lambda: picture_strip([PIXELS], "", captions=["a", "b"]), "2 captions for 1 pictures"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_pngs_need_nothing_but_the_standard_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert "image/png" in picture(PIXELS, "", lossless=True)
    with pytest.raises(ImportError):
        picture(PIXELS, "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (3.46, "3.5 s"),
        (59.97, "1:00"),
        (63.5, "1:03.5"),
        (119.97, "2:00"),
        (3599.99, "1:00:00"),
        (3605.25, "1:00:05.2"),
    ],
)
def test_clock_text(seconds, text):
    assert clock_text(seconds) == text
