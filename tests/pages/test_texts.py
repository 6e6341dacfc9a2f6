import pytest

from keras_tdn.pages.texts import clock_text, percent, printable


def test_what_cannot_be_shown_is_replaced():
    assert printable("<\udcff\x00&>\n") == "<\ufffd\ufffd&>\n"
    assert printable(7) == "7"


def test_percent():
    assert percent(0.1234) == "12.3\u00a0%"
    assert percent(0.5, 0) == "50\u00a0%"
    assert percent(None) == "\u2013"


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
