"""Plots of all pages, as matplotlib figures and as SVG inside a page."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from keras_tdn.pages.texts import percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As `templates/style.css` has them; there a page may replace them, in the dark for example.
PALETTE = {
    "bar": "#3b6fb6",
    "other": "#c4651a",
    "good": "#1a7f37",
    "muted": "#59636e",
    "line": "#d5dbe1",
    "ink": "#1f2328",
}
# In CSS pixels.
BARS_SIZE = 336, 230
# Numbers of the x axis closer than this would run into each other.
TICK_ROOM = 26
# Of curves, in their order.
COLORS = ("bar", "other", "good", "muted")

_STYLE = {
    "figure.dpi": 72,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 12.5,
    "lines.linewidth": 2,
    "path.simplify": False,
    "lines.markersize": 7,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["muted"],
    "axes.labelsize": 12.5,
    "axes.titlesize": 13.5,
    "axes.titleweight": "bold",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": PALETTE["line"],
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "ytick.left": False,
    "text.color": PALETTE["ink"],
    "legend.frameon": False,
    # Labels are texts: a dollar in one is no formula, and the reader's fonts show it.
    "text.parse_math": False,
    "svg.fonttype": "none",
    # The same figure is the same text again.
    "svg.hashsalt": "keras_tdn",
}
# The settings are matplotlib's global ones.
_LOCK = threading.RLock()
_NOTE = "note:"
# The page's font is taken, and not those that matplotlib knows; up to 3.9 it names them otherwise.
_FONTS = re.compile(r"font-family: [^;]*;|(?<=font): (\S+) [^;]*")


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve."""

    name: str
    # Pairs of numbers, x and y, in order. Where y is not a number there is a gap.
    points: Sequence[tuple[float, float]]


def curves(
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    *,
    log_x: bool = False,
    y_range: tuple[float, float] | None = None,
    marks: bool = False,
    legend: bool = True,
    size: tuple[float, float] = (560, 320),
) -> Figure:
    """Draws shares, from 0 to 1, over something else: at most four curves.

    With `marks` each point has a dot, its value, and its x a number on the axis, if there is room.
    A page has the names of curves as text above it, and needs no `legend`. Sizes are CSS pixels.
    """
    if not lines or len(lines) > len(COLORS) or not all(line.points for line in lines):
        raise ValueError(
            f"A plot has one to {len(COLORS)} curves of at least a point each. "
            f"Received: {[len(line.points) for line in lines]} points"
        )
    with drawing(size) as figure:
        axes = new_axes(figure, x_name, y_name)
        for number, line in enumerate(lines):
            x, y = np.asarray(line.points, float).T
            # A point between two gaps would not be seen as a line.
            gaps = np.pad(np.isnan(y), 1, constant_values=True)
            alone = np.full(len(y), True) if marks else gaps[:-2] & gaps[2:]
            color = PALETTE[COLORS[number]]
            axes.plot(x, y, color=color, label=printable(line.name), zorder=3 - 0.1 * number)
            if alone.any():
                axes.plot(x[alone], y[alone], "o", color=color, zorder=3 - 0.1 * number)
            for point in zip(x, y, strict=True) if marks else ():
                # The first curve's values stand above it, the others' below.
                above = number == 0
                axes.annotate(
                    percent(point[1], 1 if y_range is None else 0), point, ha="center",
                    va="bottom" if above else "top", xytext=(0, 6 if above else -7),
                    textcoords="offset points", color=color,
                )  # fmt: skip
        _share_axis(axes, y_range)
        if log_x:
            axes.set_xscale("log")
        if marks:
            axes.margins(x=0.06)
            ticks = _apart(axes, sorted({float(x) for line in lines for x, _ in line.points}))
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        if legend and len(lines) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(lines))
    return figure


def bars(values: Sequence[float], x_name: str, y_name: str) -> Figure:
    """Draws a bar for each number from 1 on; those below zero have the second colour."""
    with drawing(BARS_SIZE) as figure:
        axes = new_axes(figure, x_name, y_name)
        numbers = range(1, len(values) + 1)
        colors = [PALETTE["bar" if value >= 0 else "other"] for value in values]
        for bar, number, value in zip(
            axes.bar(numbers, values, 0.72, color=colors), numbers, values, strict=True
        ):
            note(bar, f"{x_name} {number}: {value:.3g} {y_name}")
        axes.axhline(0, color=PALETTE["muted"], linewidth=0.8)
        axes.locator_params(axis="x", integer=True, nbins=12)
        axes.locator_params(axis="y", nbins=5)
        if not any(values):
            axes.set_ylim(0, 1)
        elif min(values) >= 0:
            axes.set_ylim(bottom=0)
    return figure


@contextlib.contextmanager
def drawing(size: tuple[float, float]) -> Iterator[Figure]:
    """Makes a figure of so many CSS pixels, to draw on inside the block in the look of pages."""
    with _look() as matplotlib:
        yield matplotlib.figure.Figure(figsize=(size[0] / 72, size[1] / 72))


def new_axes(figure: Figure, x_name: str, y_name: str) -> Axes:
    """Adds the only axes of a figure; the names say what x and y are."""
    axes = figure.add_subplot()
    axes.set_xlabel(printable(x_name))
    axes.set_ylabel(printable(y_name))
    return axes


def note(artist: Any, text: str) -> None:
    """Sets what a page shows when the pointer rests on a shape."""
    artist.set_gid(_NOTE + printable(text))


def inline_svg(figure: Figure, description: str) -> Markup:
    """Returns a figure, which it changes, as SVG in the colours and fonts of the page around it."""
    for artist in figure.findobj():
        artist.set_clip_on(False)
    file = io.BytesIO()
    with _look(), warnings.catch_warnings():
        # A script that matplotlib's font lacks is measured wrongly by a little; it is a text, which
        # the reader's fonts show.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="svg", transparent=True)
    root = ElementTree.fromstring(file.getvalue())
    _simplify(root)
    root.attrib["width"], root.attrib["height"] = root.attrib["viewBox"].split()[2:]
    del root.attrib["version"]
    root.attrib |= {"role": "img", "aria-label": printable(description)}
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(f'<div class="plot">{text}</div>')


def _simplify(root: ElementTree.Element) -> None:
    """Removes what would get in the way of the rest of the page: ids, name spaces, a style."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            name.rpartition("}")[2]: _plain(value)
            for name, value in element.attrib.items()
            if not value.startswith("rotate(-0 ")
        }
        element.tail = None
        element.text = element.text if element.text and element.text.strip() else None
    markers = {marker.get("id"): marker for marker in root.findall(".//defs/path")}
    for element in list(root.iter()):
        for child in list(element):
            if child.tag in ("metadata", "defs"):
                element.remove(child)
        if element.tag == "use":
            x, y, style = (element.attrib[name] for name in ("x", "y", "style"))
            outline = markers[element.attrib["href"][1:]].attrib["d"]
            element.tag = "circle" if "C" in outline else "path"
            if element.tag == "circle":
                # A dot, whose outline begins at its radius.
                element.attrib = {"cx": x, "cy": y, "r": outline.split()[2], "style": style}
            else:
                element.attrib = {"d": outline, "style": style, "transform": f"translate({x} {y})"}
        name = element.attrib.pop("id", "")
        if name.startswith(_NOTE):
            title = ElementTree.Element("title")
            title.text = name.removeprefix(_NOTE)
            element.insert(0, title)


def _plain(value: str) -> str:
    """An attribute with the page's colours and font."""
    for name, color in PALETTE.items():
        value = value.replace(color, f"var(--{name})")
    value = _FONTS.sub(lambda found: f"-size: {found[1]}" if found[1] else "", value)
    return " ".join(value.split())


def _share_axis(axes: Axes, bounds: tuple[float, float] | None) -> None:
    low, high = axes.get_ylim()
    if bounds is None:
        room = max((high - low) * 0.2, 0.02 * max(abs(low), abs(high)), 1e-3)
        bounds = low - room, high + room
    axes.set_ylim(*bounds)
    digits = 1 if bounds[1] - bounds[0] < 0.5 else 0
    # The room above a share of 1 has the values, but nothing lies there.
    least, most = max(bounds[0], 0), min(bounds[1], 1)
    axes.set_yticks([tick for tick in axes.get_yticks() if least <= tick <= most])
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, digits))


def _apart(axes: Axes, values: Sequence[float]) -> list[float]:
    """Those of the numbers on the x axis that do not run into the one before."""
    kept: list[float] = []
    last = -np.inf
    places = axes.transData.transform([(value, 0.5) for value in values])[:, 0]
    for value, place in zip(values, places, strict=True):
        if place - last >= TICK_ROOM:
            kept.append(value)
            last = place
    return kept


@contextlib.contextmanager
def _look() -> Iterator[Any]:
    """Sets the look of the pages, whatever the user's own settings are."""
    matplotlib = _matplotlib()
    with _LOCK, matplotlib.style.context(["default", _STYLE]):
        yield matplotlib


@functools.cache
def _matplotlib() -> Any:
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    # The first import on a machine lists its fonts, and says so.
    logger.setLevel(logging.ERROR)
    try:
        import matplotlib.figure
        import matplotlib.style
    finally:
        logger.setLevel(level)
    return matplotlib
