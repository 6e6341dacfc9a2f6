import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from keras_tdn.pages.pictures import (
    FONT_SIZE,
    Paper,
    can_be_drawn,
    encode,
    encode_gif,
    fitted,
    font,
    picture,
    resized,
    strip,
    wrapped,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_png_files_are_read_back():
    for pixels in (PIXELS, PIXELS[:1, :1], PIXELS[::-1, ::2], np.zeros((40, 300, 3), np.uint8)):
        np.testing.assert_array_equal(decoded(encode(pixels, "png")), pixels)


def test_pictures_hold_their_data():
    shown = picture(PIXELS, "frame", width=50, lossless=True)
    assert (shown.width, shown.height, shown.is_sharp) == (50, 70, True)
    kind, data = shown.source.split(",")
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(decoded(base64.b64decode(data)), PIXELS)
    shown = picture(PIXELS, "")
    assert (shown.width, shown.height, shown.is_sharp) == (5, 7, False)
    assert shown.source.startswith("data:image/jpeg;base64,")


def test_strips_are_shrunk():
    shown = strip([np.zeros((480, 640, 3), np.uint8)] * 3, "a jump")
    assert [(each.width, each.height) for each in shown] == [(120, 90)] * 3
    assert shown[2].description == "a jump, picture 3"
    # Twice as many pixels as the page counts, and none more.
    assert decoded(base64.b64decode(shown[0].source.split(",")[1])).shape == (180, 240, 3)
    (narrow,) = strip([np.zeros((100, 2, 3), np.uint8)], "x", height=9)
    assert (narrow.width, narrow.height) == (1, 18)


def test_sizes():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    assert resized(pixels, 4, 6) is pixels
    larger = resized(pixels, 8, 12, sharp=True)
    np.testing.assert_array_equal(larger, pixels.repeat(2, axis=0).repeat(2, axis=1))
    # Smaller pictures are means, so that thin lines do not vanish.
    lines = np.zeros((8, 8, 3), np.uint8)
    lines[::2] = 200
    assert np.abs(resized(lines, 2, 2).astype(int) - 100).max() < 30


def test_what_is_no_picture():
    for pixels, message in (
        (PIXELS.astype(float), "uint8 array.*float64"),
        (PIXELS[0], r"shape=\(5, 3\)"),
        (PIXELS[:0], r"shape=\(0, 5, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            picture(pixels, "")


def test_gifs_play_for_ever():
    pictures = [
        np.full((8, 8, 3), (level, 0, 255 - level), np.uint8) for level in range(0, 250, 50)
    ]
    image = Image.open(io.BytesIO(encode_gif(pictures, 5)))
    assert (image.n_frames, image.info["loop"], image.info["duration"]) == (5, 0, 200)
    for number, expected in enumerate(pictures):
        image.seek(number)
        np.testing.assert_allclose(np.asarray(image.convert("RGB")), expected, atol=2)


def test_letters():
    """Each is drawn, and not as the same box."""
    drawn = set()
    letters = "aéßЖωłあ"
    for letter in letters:
        paper = Paper(24, 24)
        paper.text(letter, 2, 2, 20)
        drawn.add(paper.pixels.tobytes())
        assert (paper.pixels < 128).any()
    assert len(drawn) == len(letters)
    assert can_be_drawn("déplacé, Ж, ω: 50 %")
    # For these a page has texts.
    for text in ("跳跃 déplacé", "قفز", "跳ぶ", "\x00"):
        assert not can_be_drawn(text)


def test_texts_fit():
    width = font(FONT_SIZE).getlength("abc\u2026")
    assert fitted("abc", width) == "abc"
    assert fitted("abcdefgh", width) == "abc\u2026"
    assert fitted("abc", 0) == "\u2026"
    assert wrapped("gate strength", font(FONT_SIZE).getlength("strength")) == ["gate", "strength"]


def test_paper_stays_inside():
    paper = Paper(20, 60)
    paper.text("long text", 15, 50, 40)
    paper.picture(np.zeros((40, 40, 3), np.uint8), 10, 50)
    assert paper.pixels.shape == (20, 60, 3)
    assert not paper.pixels[10:, 50:].any()
    assert (paper.pixels[:10] == 255).all()


def test_pictures_need_neither_tensorflow_nor_matplotlib(monkeypatch):
    for name in ("tensorflow", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "image/jpeg" in picture(PIXELS, "").source
