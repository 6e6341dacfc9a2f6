import io
import re
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from keras_tdn.pages.plots import COLORS, PALETTE, Line, bars, curves, inline_svg
from keras_tdn.pages.rendering import render

HOSTILE = '</svg><script>"$x_1$'


def svg_of(figure, description="d"):
    text = inline_svg(figure, description)
    return text, ElementTree.fromstring(text)[0]


def texts_of(root):
    return ["".join(element.itertext()) for element in root.iter("text")]


def test_curves_have_dots_and_values():
    lines = [Line("a", [(1, 0.5), (2, 0.75)]), Line("b", [(1, 0.5)])]
    text, root = svg_of(curves(lines, "views", "accuracy", marks=True))
    assert {"views", "accuracy", "1", "2", "75.0\u00a0%"} <= set(texts_of(root))
    assert texts_of(root).count("50.0\u00a0%") >= 2
    # A dot each, beside the line.
    assert text.count("<circle") == 3


def test_a_single_point_is_seen_too():
    for figure in (
        curves([Line("a", [(1, 0.5)])], "x", "y", log_x=True, marks=True),
        curves([Line("a", [(1, 0.5), (2, np.nan), (3, 0.5), (4, 0.5)])], "x", "y"),
    ):
        text, _ = svg_of(figure)
        assert text.count("<circle") == 1


def test_shares_end_at_one():
    _, root = svg_of(curves([Line("a", [(1, 1.0), (2, 1.0)])], "x", "y", marks=True))
    shares = [float(text[:-2]) for text in texts_of(root) if text.endswith("%")]
    assert max(shares) == 100


def test_numbers_of_the_axis_have_room():
    lines = [Line("a", [(x, 0.5) for x in (1, 2, 29, 30)])]
    _, root = svg_of(curves(lines, "x", "y", marks=True))
    assert {"1", "29"} <= set(texts_of(root))
    assert not {"2", "30"} & set(texts_of(root))
    _, root = svg_of(curves(lines, "x", "y", marks=True, log_x=True))
    assert {"1", "2", "29"} <= set(texts_of(root))


def test_a_legend_is_for_figures():
    lines = [Line("$a_1$\x00", [(0, 0)]), Line("b", [(0, 0)])]
    (axes,) = curves(lines, "x", "y").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$a_1$\ufffd", "b"]
    (axes,) = curves(lines, "x", "y", legend=False).axes
    assert axes.get_legend() is None


def test_bars_stand_on_zero():
    _, root = svg_of(bars([0.0, 50.0, -3.0], "segment", "levels"))
    titles = [element.text for element in root.iter("title")]
    assert titles == ["segment 1: 0 levels", "segment 2: 50 levels", "segment 3: -3 levels"]
    for values, bounds in (([0.0, 0.0], (0.0, 1.0)), ([0.0, 50.0], (0.0, 52.5))):
        (axes,) = bars(values, "segment", "levels").axes
        assert axes.get_ylim() == pytest.approx(bounds)
    (axes,) = bars([-50.0], "segment", "levels").axes
    assert axes.get_ylim()[1] >= 0


def test_svg_is_part_of_a_page():
    text, root = svg_of(bars([1.0, -2.0], HOSTILE, HOSTILE), HOSTILE)
    assert root.get("aria-label") == HOSTILE
    assert "<script" not in text
    # Dollars make no formula.
    assert HOSTILE in texts_of(root)
    # Nothing that another plot on the page has too, and nothing that is fetched.
    assert not re.search(r'\bid="|href|url\(|http|<style|<metadata|xmlns|DejaVu', text)
    assert "font-size: 12.5px" in text
    # Colours are the page's, which may be dark.
    assert not re.search("#[0-9a-f]{6}", text)
    assert {"bar", "other", "muted", "line"} <= set(re.findall(r"var\(--(\w+)\)", text))


def test_the_page_has_the_colors():
    page = render("base.html", title="", lead="")
    for name, color in PALETTE.items():
        assert f"--{name}: {color}" in page
    assert set(COLORS) <= set(PALETTE)


def test_plots_are_the_same_again():
    first, second = (inline_svg(bars([1.0], "x", "y"), "d") for _ in range(2))
    assert first == second


def test_settings_of_the_user_are_left_alone():
    before = {"font.size": 30, "axes.grid": False, "text.usetex": True, "svg.fonttype": "path"}
    with matplotlib.rc_context(before):
        text, _ = svg_of(bars([1.0], "x", "y"))
        assert {name: matplotlib.rcParams[name] for name in before} == before
    assert text == inline_svg(bars([1.0], "x", "y"), "d")


def test_scripts_that_matplotlib_has_no_letters_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, root = svg_of(curves([Line("跳跃", [(0, 0)]), Line("b", [(0, 1)])], "時間", "score"))
    assert {"跳跃", "時間"} <= set(texts_of(root))


def test_figures_can_be_saved():
    file = io.BytesIO()
    curves([Line("a", [(0, 0.2), (1, 0.5)])], "x", "y").savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_nothing_to_draw():
    for lines in ([], [Line("a", [])], [Line("a", [(0, 0)])] * 5):
        with pytest.raises(ValueError, match="one to 4 curves"):
            curves(lines, "x", "y")
