"""Curves, as SVG that is written by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

from keras_tdn.html.text import escape, percent

COLORS = ("var(--bar)", "var(--other)", "var(--good)", "var(--muted)")
# Room for the numbers and names of the axes, in the units of the drawing.
LEFT, RIGHT, TOP, BOTTOM = 80, 26, 14, 46
# Numbers of the x axis closer than this would run into each other.
TICK_ROOM = 26


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve.

    Args:
        name: What it is of.
        points: Pairs of numbers, x and y, in order.
    """

    name: str
    points: Sequence[tuple[float, float]]


class Plot:
    """A drawing with two axes. Add shapes to it in the units of the axes; `svg` gives all of it.

    Use `line_chart` for plain curves.

    Args:
        x_range: Least and greatest x.
        y_range: Least and greatest y.
        x_ticks: Where the x axis has a number.
        y_ticks: Where the y axis has a number, and the drawing a thin line across.
        x_name: What x is.
        y_name: What y is.
        x_text: Writes a number of the x axis.
        y_text: Writes a number of the y axis.
        log_x: Whether the x axis is logarithmic.
        width: Width in CSS pixels.
        height: Height in CSS pixels.

    Raises:
        ValueError: if a range is empty, or begins below 0 on a logarithmic axis.

    Example:

    >>> plot = Plot((0, 1), (0, 1), (0, 0.5, 1), (0, 0.5, 1), "confidence", "accuracy")
    >>> plot.rectangle(0, 0, 0.1, 0.4)
    >>> html = plot.svg("Accuracy by confidence")
    """

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_ticks: Iterable[float],
        y_ticks: Iterable[float],
        x_name: str,
        y_name: str,
        *,
        x_text: Callable[[float], str] = "{:g}".format,
        y_text: Callable[[float], str] = "{:g}".format,
        log_x: bool = False,
        width: int = 560,
        height: int = 320,
    ) -> None:
        if x_range[0] >= x_range[1] or y_range[0] >= y_range[1] or (log_x and x_range[0] <= 0):
            raise ValueError(
                "A plot's ranges go from a smaller to a greater number, and are positive on a "
                f"logarithmic axis. Received: x_range={x_range}, y_range={y_range}, log_x={log_x}"
            )
        self._x_range, self._y_range, self._log_x = x_range, y_range, log_x
        self._width, self._height = width, height
        self._names = x_name, y_name
        self._shapes: list[str] = []
        self._draw_axes(x_ticks, y_ticks, x_text, y_text)

    def x(self, value: float) -> float:
        """Where that x lies in the drawing."""
        low, high = self._x_range
        if self._log_x:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return LEFT + (value - low) / (high - low) * (self._width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where that y lies in the drawing."""
        low, high = self._y_range
        return self._height - BOTTOM - (value - low) / (high - low) * (self._height - TOP - BOTTOM)

    def line(
        self,
        points: Sequence[tuple[float, float]],
        color: str = COLORS[0],
        *,
        dashed: bool = False,
        dots: bool = False,
    ) -> None:
        """Adds a line through points."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'
        )
        for x, y in points if dots else ():
            self._shapes.append(
                f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5" fill="{color}"/>'
            )

    def rectangle(
        self,
        left: float,
        bottom: float,
        right: float,
        top: float,
        color: str = COLORS[0],
        opacity: float = 1.0,
        note: str = "",
    ) -> None:
        """Adds a rectangle; the note shows when the pointer rests on it."""
        x, y = self.x(left), self.y(top)
        title = f"<title>{escape(note)}</title>" if note else ""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, self.x(right) - x):.1f}" '
            f'height="{max(0.0, self.y(bottom) - y):.1f}" fill="{color}" '
            f'fill-opacity="{opacity:g}">{title}</rect>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        color: str = "var(--ink)",
        *,
        anchor: str = "middle",
        up: float = 9.0,
    ) -> None:
        """Adds a text whose foot is `up` CSS pixels above that point."""
        self._shapes.append(
            f'<text x="{self.x(x):.1f}" y="{self.y(y) - up:.1f}" text-anchor="{anchor}" '
            f'fill="{color}">{escape(text)}</text>'
        )

    def svg(self, description: str) -> str:
        """All of it as HTML."""
        return (
            f'<svg role="img" aria-label="{escape(description)}" width="{self._width}" '
            f'height="{self._height}" viewBox="0 0 {self._width} {self._height}" '
            f'font-size="12.5" style="font-variant-numeric:tabular-nums;height:auto">'
            f"{''.join(self._shapes)}</svg>\n"
        )

    def _draw_axes(
        self,
        x_ticks: Iterable[float],
        y_ticks: Iterable[float],
        x_text: Callable[[float], str],
        y_text: Callable[[float], str],
    ) -> None:
        right, bottom = self._width - RIGHT, self._height - BOTTOM
        for tick in y_ticks:
            y = self.y(tick)
            self._shapes.append(
                f'<path d="M{LEFT} {y:.1f}H{right}" stroke="var(--line)"/>'
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="var(--muted)">'
                f"{escape(y_text(tick))}</text>"
            )
        last = -math.inf
        for tick in sorted(x_ticks):
            x = self.x(tick)
            if x - last < TICK_ROOM:
                continue
            last = x
            self._shapes.append(
                f'<path d="M{x:.1f} {bottom}v5" stroke="var(--muted)"/>'
                f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="var(--muted)">'
                f"{escape(x_text(tick))}</text>"
            )
        middle = (TOP + bottom) / 2
        self._shapes.append(
            f'<path d="M{LEFT} {bottom}H{right}" stroke="var(--muted)"/>'
            f'<text x="{(LEFT + right) / 2}" y="{self._height - 8}" text-anchor="middle" '
            f'fill="var(--muted)">{escape(self._names[0])}</text>'
            f'<text transform="rotate(-90 13 {middle})" x="13" y="{middle}" text-anchor="middle" '
            f'fill="var(--muted)">{escape(self._names[1])}</text>'
        )


def line_chart(
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    *,
    description: str,
    log_x: bool = False,
    y_range: tuple[float, float] | None = None,
    y_text: Callable[[float], str] = percent,
    width: int = 560,
    height: int = 320,
) -> str:
    """Curves with a dot and a value at each point.

    Use it for a few points; `Plot` draws anything else.

    Args:
        lines: The curves, at most four, each with at least a point.
        x_name: What x is.
        y_name: What y is.
        description: What it shows, for those who cannot see it.
        log_x: Whether the x axis is logarithmic.
        y_range: Least and greatest y; by default what the points need, and some room.
        y_text: Writes values.
        width: Width in CSS pixels.
        height: Height in CSS pixels.

    Returns:
        HTML.

    Raises:
        ValueError: if there is nothing to draw, or too much.

    Example:

    >>> html = line_chart([Line("top-1", [(1, 0.7), (10, 0.74)])], "views", "accuracy",
    ...                   description="accuracy by views", log_x=True)
    """
    points = [point for line in lines for point in line.points]
    if not points or len(lines) > len(COLORS) or not all(line.points for line in lines):
        raise ValueError(
            f"A chart has one to {len(COLORS)} lines of at least a point each. "
            f"Received: {[len(line.points) for line in lines]} points"
        )
    xs = sorted({x for x, _ in points})
    x_range = _roomy(xs[0], xs[-1], log_x)
    if y_range is None:
        low, high = min(y for _, y in points), max(y for _, y in points)
        room = max((high - low) * 0.25, 0.02 * max(abs(low), abs(high)), 1e-3)
        y_range = low - room, high + room
    ticks = nice_ticks(*y_range)
    if y_text is percent:
        # The room above a share of 1 has the values, but nothing lies there.
        ticks = [tick for tick in ticks if 0 <= tick <= 1]
    plot = Plot(
        x_range, y_range, xs, ticks, x_name, y_name, y_text=y_text, log_x=log_x,
        width=width, height=height,
    )  # fmt: skip
    for number, (line, color) in enumerate(zip(lines, COLORS, strict=False)):
        plot.line(line.points, color, dots=True)
        for x, y in line.points:
            # The first line's values stand above it, the others' below, out of each other's way.
            plot.text(x, y, y_text(y), color, up=9.0 if number == 0 else -17.0)
    names = "".join(
        f'<span style="color:{color};margin-right:1.4rem">\u25cf {escape(line.name)}</span>'
        for line, color in zip(lines, COLORS, strict=False)
    )
    return f"<div><div>{names if len(lines) > 1 else ''}</div>{plot.svg(description)}</div>\n"


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them.

    Args:
        low: The least there may be.
        high: The greatest.
        count: How many there should be, more or less.

    Example:

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if low == high:
        return [low]
    rough = (high - low) / count
    scale = 10.0 ** math.floor(math.log10(rough))
    step = min((1, 2, 5, 10), key=lambda factor: abs(factor * scale - rough)) * scale
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def bar_range(values: Iterable[float]) -> tuple[float, float]:
    """The y range for bars that stand on zero, with some room beyond the longest of them.

    Args:
        values: Heights of the bars. Where all of them are zero, the range is `(0.0, 1.0)`.

    Example:

    >>> bar_range([0.0, 50.0])
    (0.0, 54.0)
    """
    heights = [0.0, *values]
    low, high = min(heights), max(heights)
    if low == high:
        return 0.0, 1.0
    room = 0.08 * (high - low)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)


def _roomy(low: float, high: float, log: bool) -> tuple[float, float]:
    """The range with some room at both ends; one point lies in the middle."""
    if log:
        factor = max((high / low) ** 0.06, 1.1)
        return low / factor, high * factor
    room = (high - low) * 0.05 or 0.5
    return low - room, high + room
