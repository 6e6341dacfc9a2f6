import importlib.resources
import re

import jinja2
import numpy as np
import pytest

from keras_tdn.pages.confusion import heat_rows
from keras_tdn.pages.pictures import picture
from keras_tdn.pages.rendering import Bar, render, render_part

HOSTILE = '<script>alert("1")</script>\udcff\x00'
SHOWN = "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;\ufffd\ufffd"
TEMPLATES = importlib.resources.files("keras_tdn.pages") / "templates"


def part(macro, *values):
    return render_part("parts.html", macro, *values)


def test_texts_are_escaped_wherever_they_go():
    page = render("base.html", title=HOSTILE, lead=HOSTILE)
    assert page.startswith("<!DOCTYPE html>")
    assert f"<title>{SHOWN}</title>" in page
    parts = {
        "tile": (HOSTILE, HOSTILE, HOSTILE),
        "facts": ([(HOSTILE, HOSTILE)],),
        "table": ([HOSTILE], [[HOSTILE]]),
        "bars": ([Bar(HOSTILE, 0.5, HOSTILE, HOSTILE)],),
        "image": (picture(np.zeros((1, 1, 3), np.uint8), HOSTILE),),
        "legend": ([HOSTILE],),
        "heat_table": (heat_rows(np.ones((1, 1), int)), [HOSTILE], HOSTILE, HOSTILE),
    }
    for html in (page, *(part(macro, *values) for macro, values in parts.items())):
        assert SHOWN in html
        assert not re.search("<script|\udcff|\x00", html)


def test_no_template_escapes_by_itself():
    """It is done for every value; what is no text is `Markup`."""
    for template in TEMPLATES.iterdir():
        content = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|\|\s*e\b", content), template.name


def test_a_misspelt_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render("base.html", lead="")


def test_numbers_stand_to_the_right():
    html = part("table", ["name", "n"], [["a", 1], ["b", "20 %"]], [1])
    assert "<td>a</td><td class=number>1</td>" in html


def test_bars():
    html = part("bars", [Bar("a", 0.5, note="n"), Bar("b", None), Bar("c", 3.0)], 2)
    assert re.findall(r"width:([\d.]+)%", html) == ["50.0", "0.0", "100.0"]
    assert "50.0\u00a0%" in html
    assert "\u2013" in html
    assert "column-count:2" in html


def test_every_page_has_the_one_look():
    assert "--bar: #3b6fb6" in render("base.html", title="", lead="")
    # Inside somebody else's page, the rules hold for our parts alone.
    head = render_part("web.html", "head")
    assert "--bar: #3b6fb6" in head
    outside = re.sub(r"\.tdn \{.*\n\}\n", "", head, flags=re.DOTALL)
    assert "body" not in outside
