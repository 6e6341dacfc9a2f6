"""Matrices as colours: a table while the numbers can be read, else a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_tdn.html.pictures import picture
from keras_tdn.html.text import escape

# From nothing to all, at equal steps.
SCALE = np.array([(255, 255, 255), (201, 218, 240), (118, 161, 213), (52, 101, 168), (16, 44, 89)])
# Above this share the ink is white.
DARK = 0.55

STYLE = """
table.heat td { width: 3.2rem; height: 2.1rem; text-align: center; border: 1px solid #e4e8ec; }
table.heat th { font-weight: 500; padding: .1rem .6rem; white-space: nowrap; }
table.heat th.row { text-align: right; }
table.heat th.column { height: var(--head); vertical-align: bottom; padding: 0 0 .4rem; }
table.heat th.column span { writing-mode: vertical-rl; transform: rotate(180deg); }
table.heat td.diagonal { outline: 2px solid #8fa3b8; outline-offset: -2px; }
table.heat.small td { width: 1.7rem; height: 1.5rem; font-size: .72rem; }
table.heat.small th { font-size: .8rem; }
table.heat caption { caption-side: top; text-align: left; color: var(--muted);
                     padding-bottom: .5rem; }
"""


def heat_color(share: float) -> tuple[int, int, int]:
    """The colour of a share from 0 to 1, from white to dark blue.

    Args:
        share: From 0 to 1.

    Returns:
        Red, green and blue, from 0 to 255.
    """
    return tuple(int(level) for level in heat_colors(np.asarray(share)))  # type: ignore[return-value]


def heat_colors(shares: np.ndarray) -> np.ndarray:
    """Colours of shares, uint8 with one more axis; those outside [0, 1] are taken to its ends."""
    steps = np.linspace(0.0, 1.0, len(SCALE))
    levels = [np.interp(shares, steps, SCALE[:, channel]) for channel in range(3)]
    return np.rint(np.stack(levels, axis=-1)).astype(np.uint8)


def heat_table(counts: np.ndarray, names: Sequence[str], *, row_name: str, column_name: str) -> str:
    """A square matrix of counts, each on the colour of its share of the row.

    Use it for a few dozen rows; more of them are read better from `heat_picture`.

    Args:
        counts: Non-negative integers of shape `(rows, rows)`.
        names: Names of the rows, which are those of the columns.
        row_name: What the rows are.
        column_name: What the columns are.

    Returns:
        HTML.

    Example:

    >>> html = heat_table(np.eye(2, dtype=int), ["jump", "run"], row_name="is", column_name="said")
    """
    shares = row_shares(counts)
    colors = heat_colors(shares)
    head = "".join(f'<th class="column"><span>{escape(name)}</span></th>' for name in names)
    rows = []
    for row, name in enumerate(names):
        cells = []
        for column in range(len(names)):
            count, share = int(counts[row, column]), shares[row, column]
            red, green, blue = colors[row, column]
            ink = ";color:#fff" if share > DARK else ""
            kind = " class=diagonal" if row == column else ""
            told = f"{name} \u2192 {names[column]}: {count} ({100 * share:.1f} %)"
            cells.append(
                f'<td{kind} title="{escape(told)}" '
                f'style="background:rgb({red},{green},{blue}){ink}">{count or ""}</td>'
            )
        rows.append(f'<tr><th class="row">{escape(name)}</th>{"".join(cells)}</tr>')
    kind = "heat small" if len(names) > 16 else "heat"
    # Rotated names take no room of their own.
    room = f"{min(0.62 * max(map(len, names)) + 1, 14):.1f}em"
    return (
        f'<div class="scrolls"><table class="{kind}" style="--head:{room}">'
        f"<caption>Rows: {escape(row_name)}. Columns: {escape(column_name)}.</caption>"
        f"<tr><th></th>{head}</tr>{''.join(rows)}</table></div>\n"
    )


def heat_picture(counts: np.ndarray, description: str, *, side: int = 800) -> str:
    """A square matrix of counts as a picture, each pixel the colour of its share of the row.

    Small shares are drawn darker than they are, by a square root: one video in fifty must be seen.

    Args:
        counts: Non-negative integers of shape `(rows, rows)`.
        description: What it shows, for those who cannot see it.
        side: Side on the page in CSS pixels, rounded down to whole pixels per row.

    Returns:
        HTML.

    Example:

    >>> html = heat_picture(np.eye(400, dtype=int), "confusion of 400 classes")
    """
    pixels = heat_colors(np.sqrt(row_shares(counts)))
    image = picture(
        pixels, description, width=max(1, side // len(counts)) * len(counts), lossless=True
    )
    return f'<div style="display:inline-block;border:1px solid var(--line)">{image}</div>\n'


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Each count as a share of its row; rows of nothing stay so."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
