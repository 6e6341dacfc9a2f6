"""Numbers as colours whose order the eye sees, and the legends that tell what they mean."""

from __future__ import annotations

import dataclasses

import numpy as np

# Lightness grows from end to end, in equal steps: more is brighter.
SEQUENTIAL = ((6, 8, 30), (66, 22, 104), (147, 38, 103), (219, 78, 66), (250, 156, 36),
              (250, 242, 150))  # fmt: skip
# Zero is the lightest; both sides darken alike.
DIVERGING = ((20, 62, 132), (71, 131, 190), (166, 203, 226), (247, 247, 247), (244, 190, 156),
             (207, 96, 70), (128, 18, 38))  # fmt: skip
# Ends of scales, so that a legend has round numbers.
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
# Single pixels may go past the end of a scale.
QUANTILE = 0.995
GREY = 128


@dataclasses.dataclass(frozen=True)
class Scale:
    """What colours stand for.

    Args:
        low: The number at one end.
        high: The number at the other. Numbers outside have the colours of the ends.
        unit: What the numbers are.
        kind: `"sequential"`; `"diverging"`, with zero in the middle; or `"color"`, for differences
            of colours, each channel from dark by grey to bright.
    """

    low: float
    high: float
    unit: str
    kind: str

    def colors(self, values: np.ndarray) -> np.ndarray:
        """uint8 colours, with one more axis unless the values are colours themselves."""
        shares = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        if self.kind == "color":
            return np.rint(GREY + (shares - 0.5) * 2 * (GREY - 1)).astype(np.uint8)
        table = np.array(SEQUENTIAL if self.kind == "sequential" else DIVERGING)
        steps = np.linspace(0.0, 1.0, len(table))
        levels = [np.interp(shares, steps, table[:, channel]) for channel in range(3)]
        return np.rint(np.stack(levels, axis=-1)).astype(np.uint8)

    def bar(self, width: int, height: int) -> np.ndarray:
        """A bar of all its colours from low to high, uint8 of shape `(height, width, 3)`."""
        values = np.linspace(self.low, self.high, width)
        if self.kind == "color":
            values = np.stack([values] * 3, axis=-1)
        return np.broadcast_to(self.colors(values), (height, width, 3)).copy()

    @property
    def marks(self) -> tuple[str, ...]:
        """What is written at its ends and, if zero is there, in the middle."""
        if self.kind == "sequential":
            return f"{self.low:g}", f"{self.high:g}"
        return f"{self.low:g}", "0", f"+{self.high:g}"


def sequential(values: np.ndarray, unit: str) -> Scale:
    """A scale from zero to a round number that nearly all values stay below."""
    return Scale(0.0, _round_end(values), unit, "sequential")


def diverging(values: np.ndarray, unit: str, limit: float | None = None) -> Scale:
    """A scale as far below zero as above it."""
    end = _round_end(np.abs(values))
    end = end if limit is None else min(end, limit)
    return Scale(-end, end, unit, "diverging")


def color_differences(values: np.ndarray, unit: str) -> Scale:
    """A scale of differences of colours, as far below zero as above it."""
    end = _round_end(np.abs(values))
    return Scale(-end, end, unit, "color")


def overlay(pictures: np.ndarray, maps: np.ndarray, scale: Scale) -> np.ndarray:
    """Maps laid over pictures: what is zero shows the picture, dimmed and grey.

    Args:
        pictures: uint8 of shape `(n, height, width, 3)`.
        maps: `(n, height, width)`.
        scale: A sequential scale of the maps.
    """
    shares = np.clip(maps / scale.high, 0.0, 1.0)[..., np.newaxis]
    grey = pictures.mean(axis=-1, keepdims=True)
    weight = 0.8 * np.sqrt(shares)
    mixed = (1 - weight) * 0.75 * grey + weight * scale.colors(shares[..., 0])
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


def enlarged(maps: np.ndarray, height: int, width: int, smooth: bool = False) -> np.ndarray:
    """Maps of shape `(n, h, w)` as large as pictures: cells as they are, or smoothed between."""
    if not smooth:
        rows = np.arange(height) * maps.shape[1] // height
        columns = np.arange(width) * maps.shape[2] // width
        return maps[:, rows][:, :, columns]
    for axis, size in ((1, height), (2, width)):
        source = maps.shape[axis]
        # Centres of cells lie on centres of pixels' spans.
        places = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
        below = np.floor(places).astype(int)
        above = np.minimum(below + 1, source - 1)
        share = np.expand_dims(places - below, tuple(range(1, maps.ndim - axis)))
        maps = np.take(maps, below, axis) * (1 - share) + np.take(maps, above, axis) * share
    return maps


def _round_end(values: np.ndarray) -> float:
    """The least round number that nearly all values, none of them negative, stay below."""
    most = float(np.quantile(values, QUANTILE)) if values.size else 0.0
    if not most > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(most))
    return float(next(step * power for step in STEPS if step * power >= most * (1 - 1e-6)))
