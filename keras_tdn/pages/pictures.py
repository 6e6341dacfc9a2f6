"""Pixels inside a page, and text on pixels."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

JPEG_QUALITY = 82
# So many pictures of an animation have nearly all of its colours.
PALETTE_PICTURES = 6
PAPER, INK, MUTED = (255, 255, 255), (31, 35, 40), (89, 99, 110)
FONT_SIZE, TITLE_SIZE = 13, 19


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as `parts.image` of the templates takes it; width and height in CSS pixels."""

    # Address that holds the picture's data.
    source: str
    description: str
    width: int
    height: int
    # Whether its edges stay sharp when it is enlarged.
    is_sharp: bool = False


def picture(
    pixels: np.ndarray, description: str, *, width: int | None = None, lossless: bool = False
) -> Picture:
    """Encodes a picture, uint8 of shape `(height, width, 3)`, for a page; `width` is that there.

    With `lossless` it is a PNG with sharp edges; a JPEG of a photograph takes a tenth of that.
    """
    kind = "png" if lossless else "jpeg"
    content = base64.b64encode(encode(pixels, kind)).decode()
    rows, columns, _ = pixels.shape
    width = columns if width is None else width
    height = max(1, round(rows * width / columns))
    return Picture(f"data:image/{kind};base64,{content}", description, width, height, lossless)


def strip(pictures: Iterable[np.ndarray], description: str, *, height: int = 90) -> list[Picture]:
    """Encodes pictures that stand in a row, so high on the page; larger ones are shrunk."""
    row = []
    for number, pixels in enumerate(pictures, start=1):
        # Twice the height, for screens that have two pixels where CSS counts one.
        scale = min(1.0, 2 * height / pixels.shape[0])
        size = (max(1, round(side * scale)) for side in pixels.shape[:2])
        width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
        row.append(picture(resized(pixels, *size), f"{description}, picture {number}", width=width))
    return row


def encode(pixels: np.ndarray, kind: str) -> bytes:
    """Returns the picture as the content of a file; `kind` is `"png"` or `"jpeg"`."""
    file = io.BytesIO()
    _image(pixels).save(file, kind, quality=JPEG_QUALITY)
    return file.getvalue()


def encode_gif(pictures: Sequence[np.ndarray], rate: float) -> bytes:
    """Returns an animated GIF of pictures of one size, `rate` of them per second, for ever."""
    # One palette for all of them, and no dithering: both would flicker from picture to picture.
    some = pictures[:: -(-len(pictures) // PALETTE_PICTURES)]
    plain = Image.Dither.NONE
    palette = _image(np.concatenate(some)).quantize(256, dither=plain)
    first, *others = (_image(each).quantize(palette=palette, dither=plain) for each in pictures)
    file, duration = io.BytesIO(), round(1000 / rate)
    first.save(file, "gif", save_all=True, append_images=others, duration=duration, loop=0)
    return file.getvalue()


def encode_mp4(
    pictures: Sequence[np.ndarray], rate: int, codec: str, options: dict[str, str], **of_file: str
) -> bytes:
    """Returns a video of pictures of one even size; the options are FFmpeg's for codec and file."""
    import av

    file, time_base = io.BytesIO(), Fraction(1, rate)
    with av.open(file, "w", format="mp4", options=of_file) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, _ = pictures[0].shape
        stream.pix_fmt, stream.time_base = "yuv420p", time_base
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def resized(pixels: np.ndarray, height: int, width: int, *, sharp: bool = False) -> np.ndarray:
    """Returns the picture in another size; `sharp` repeats or leaves out pixels, not averaging."""
    if pixels.shape[:2] == (height, width):
        return pixels
    how = Image.Resampling.NEAREST if sharp else Image.Resampling.BILINEAR
    return np.asarray(_image(pixels).resize((width, height), how))


class Paper:
    """White paper of a fixed size in pixels, that text and pictures are put on."""

    def __init__(self, height: int, width: int) -> None:
        self._image = Image.new("RGB", (width, height), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    @property
    def pixels(self) -> np.ndarray:
        """uint8 of shape `(height, width, 3)`."""
        return np.asarray(self._image)

    def picture(self, pixels: np.ndarray, top: int, left: int) -> None:
        self._image.paste(_image(pixels), (left, top))

    def text(
        self,
        text: str,
        top: int,
        left: int,
        width: int,
        color: tuple[int, int, int] = INK,
        size: int = FONT_SIZE,
        align: str = "left",
    ) -> None:
        """Writes a line into a space so wide, as much of it as there is room for."""
        line = fitted(text, width, size)
        share, anchor = {"left": (0, "la"), "center": (0.5, "ma"), "right": (1, "ra")}[align]
        self._draw.text((left + share * width, top), line, color, font(size), anchor=anchor)


def line_height(size: int = FONT_SIZE) -> int:
    """Returns the pixels from one line of text to the next."""
    return round(1.35 * size)


def fitted(text: str, width: float, size: int = FONT_SIZE) -> str:
    """Returns as much of the text as fits into so many pixels, with dots for what does not."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(f"{text}\u2026") > width:
        text = text[:-1]
    return f"{text.rstrip()}\u2026"


def wrapped(text: str, width: float, size: int = FONT_SIZE) -> list[str]:
    """Returns the text in lines of so many pixels, broken between words where that is possible."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size).getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitted(line, width, size) for line in lines]


def can_be_drawn(text: str) -> bool:
    """Returns whether the font of the letters on pictures has all that this text needs."""
    return all(
        ord(letter) in _letters() and unicodedata.bidirectional(letter) not in ("R", "AL")
        for letter in text
    )


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Returns the font of the letters on pictures."""
    # The older layout draws the same with and without the library that the newer one needs.
    return ImageFont.truetype(_font_file(), size, layout_engine=ImageFont.Layout.BASIC)


@functools.cache
def _letters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_font_file()).get_charmap())


@functools.cache
def _font_file() -> str:
    import matplotlib

    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


def _image(pixels: np.ndarray) -> Image.Image:
    shape, dtype = getattr(pixels, "shape", None), getattr(pixels, "dtype", None)
    if shape is None or len(shape) != 3 or shape[-1] != 3 or 0 in shape or dtype != np.uint8:
        raise ValueError(
            "A picture is a uint8 array of shape (height, width, 3). "
            f"Received: shape={shape}, dtype={dtype}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
