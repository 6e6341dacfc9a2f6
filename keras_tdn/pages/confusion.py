"""A confusion matrix: as a table while its numbers can be read, as a picture, and as a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_tdn.pages.pictures import Picture, picture
from keras_tdn.pages.plots import PALETTE, drawing, new_axes
from keras_tdn.pages.texts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Up to here a matrix of numbers can be read.
MAX_NUMBERS = 40
# From nothing to all.
SCALE = ("#ffffff", "#c9daf0", "#76a1d5", "#3465a8", "#102c59")
# Above this share the ink is white.
DARK = 0.55
SIDE = 800


@dataclasses.dataclass(frozen=True)
class HeatCell:
    """A cell of the table: its share of the row, and the colour and the CSS classes of that."""

    count: int
    share: float
    color: str
    kind: str


def heat_rows(counts: np.ndarray) -> list[list[HeatCell]]:
    """Returns the cells of a table of counts, each on the colour of its share of the row."""
    shares = row_shares(counts)
    colors = colors_of(shares)

    def cell(row: int, column: int) -> HeatCell:
        share, color = float(shares[row, column]), colors[row, column].tobytes().hex()
        kind = ("diagonal " if row == column else "") + ("dark" if share > DARK else "")
        return HeatCell(int(counts[row, column]), share, f"#{color}", kind)

    rows, columns = map(range, counts.shape)
    return [[cell(row, column) for column in columns] for row in rows]


def heat_picture(counts: np.ndarray, description: str) -> Picture:
    """Returns a picture with a pixel for each count, in the colour of its share of the row."""
    # Small shares are drawn darker than they are: one video in fifty must be seen.
    pixels = colors_of(np.sqrt(row_shares(counts)))
    # Whole pixels of the page for each row.
    width = max(1, SIDE // len(counts)) * len(counts)
    return picture(pixels, description, width=width, lossless=True)


def heat_figure(counts: np.ndarray, names: Sequence[str], y_name: str, x_name: str) -> Figure:
    """Draws the matrix as a figure; with more than 40 classes it has neither names nor numbers."""
    has_numbers = len(names) <= MAX_NUMBERS
    shares = row_shares(counts)
    side = 28 * len(names) + 160 if has_numbers else SIDE
    with drawing((side, side)) as figure:
        axes = new_axes(figure, x_name, y_name)
        axes.grid(visible=False)
        axes.imshow(colors_of(shares if has_numbers else np.sqrt(shares)))
        if has_numbers:
            texts = [printable(name) for name in names]
            axes.set_xticks(range(len(names)), texts, rotation=90)
            axes.set_yticks(range(len(names)), texts)
            for row, column in np.argwhere(counts):
                color = "white" if shares[row, column] > DARK else PALETTE["ink"]
                axes.text(column, row, counts[row, column], ha="center", va="center", color=color)
    return figure


def colors_of(shares: np.ndarray) -> np.ndarray:
    """Returns the colours of shares from 0 to 1, uint8 with one more axis of red, green, blue."""
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("counts", SCALE)
    return scale(np.asarray(shares, float), bytes=True)[..., :3]


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Returns each count as a share of its row; rows of nothing stay so."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
