"""A picture that text, pictures and legends are put on."""

from __future__ import annotations

import numpy as np

from keras_tdn.evaluation.explaining.colors import Scale
from keras_tdn.evaluation.explaining.font import GLYPH_HEIGHT, fitted, text_mask, text_width

PAPER, INK, MUTED = (255, 255, 255), (31, 35, 40), (89, 99, 110)
SMALL, LARGE = 2, 3
BAR_HEIGHT = 10


class Canvas:
    """White paper of a fixed size.

    Args:
        height: In pixels.
        width: In pixels.

    Attributes:
        pixels: uint8 of shape `(height, width, 3)`.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.full((height, width, 3), PAPER, np.uint8)

    def text(
        self,
        text: str,
        top: int,
        left: int,
        width: int,
        color: tuple[int, int, int] = INK,
        scale: int = SMALL,
        align: str = "left",
    ) -> None:
        """Writes a line into a space so wide, as much of it as there is room for."""
        line = fitted(text, width, scale)
        room = width - text_width(line, scale)
        left += {"left": 0, "center": room // 2, "right": room}[align]
        mask = text_mask(line, scale)
        area = self.pixels[top : top + mask.shape[0], left : left + mask.shape[1]]
        area[mask[: area.shape[0], : area.shape[1]]] = color

    def picture(self, pixels: np.ndarray, top: int, left: int) -> None:
        """Puts a picture there."""
        self.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

    def legend(self, scale: Scale, top: int, left: int, width: int) -> None:
        """A bar of a scale's colours with its numbers below, and the unit below them."""
        self.picture(scale.bar(width, BAR_HEIGHT), top, left)
        below = top + BAR_HEIGHT + 4
        places = ("left", "right") if len(scale.marks) == 2 else ("left", "center", "right")
        for mark, place in zip(scale.marks, places, strict=True):
            self.text(mark, below, left, width, MUTED, align=place)
        self.text(scale.unit, below + line_height(), left, width, MUTED)


def line_height(scale: int = SMALL) -> int:
    """Pixels from one line of text to the next."""
    return (GLYPH_HEIGHT + 2) * scale
