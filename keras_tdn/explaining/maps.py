"""What an explanation shows, as rows of pictures, and the scales of their colours."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from PIL import Image

from keras_tdn.explaining.explain import Explanation

# More is brighter, in equal steps; zero is the lightest, and both sides darken alike.
COLOR_MAPS = {"sequential": "inferno", "diverging": "RdBu_r"}
# Ends of scales, so that a legend has round numbers.
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
# Single pixels may go past the end of a scale.
QUANTILE = 0.995
GREY = 128
LEVELS = "levels of 255"
GATE_LIMIT = 0.5
SIGNED = {
    "mean": ("gate", "mean of both directions"),
    "forward": ("gate from the next", "from what the next segment has"),
    "backward": ("gate from before", "from what the segment before has"),
}


@dataclasses.dataclass(frozen=True)
class Scale:
    """What colours from `low` to `high` stand for; numbers outside have the colours of the ends."""

    low: float
    high: float
    unit: str
    # `"sequential"`; `"diverging"`, with zero in the middle; or `"color"`, for differences of
    # colours, each channel from dark by grey to bright.
    kind: str

    def colors(self, values: np.ndarray) -> np.ndarray:
        """Returns uint8 colours, with one more axis unless the values are colours themselves."""
        import matplotlib

        shares = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        if self.kind == "color":
            return np.rint(GREY + (shares - 0.5) * 2 * (GREY - 1)).astype(np.uint8)
        return np.asarray(matplotlib.colormaps[COLOR_MAPS[self.kind]](shares, bytes=True))[..., :3]

    def bar(self, width: int, height: int) -> np.ndarray:
        """Returns a bar of all its colours from low to high, uint8 `(height, width, 3)`."""
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


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """Pictures of all segments, in a row, uint8 of shape `(segments, height, width, 3)`.

    Photographs have no `scale`; maps are `lossless`; `label` is the class they are about, if any.
    """

    name: str
    note: str
    pictures: np.ndarray
    scale: Scale | None = None
    lossless: bool = False
    label: str = ""

    @property
    def title(self) -> str:
        return f"{self.name}: {self.label}" if self.label else self.name


def scale_of(values: np.ndarray, unit: str, kind: str, limit: float = np.inf) -> Scale:
    """Returns a scale to the least round number that nearly all values stay below."""
    most = float(np.quantile(np.abs(values), QUANTILE)) if values.size else 0.0
    end = 1.0
    if most > 0:
        power = 10.0 ** np.floor(np.log10(most))
        end = float(next(step * power for step in STEPS if step * power >= most * (1 - 1e-6)))
    end = min(end, limit)
    return Scale(0.0 if kind == "sequential" else -end, end, unit, kind)


def overview_rows(explanation: Explanation) -> list[Row]:
    """Returns a row of each kind: frames, motion, how strong the gates of stages are, Grad-CAM."""
    note = "The centre frame of each segment, which the appearance path sees."
    rows = [Row("centre frame", note, explanation.center_frames)]
    energy = explanation.motion_energy
    if energy is not None:
        scale = scale_of(energy, LEVELS, "sequential")
        note = "Root mean square of all differences of a segment, over pairs of frames and colours."
        rows.append(Row("motion energy", note, scale.colors(energy), scale, lossless=True))
    rows += [gate_row(explanation, stage, "strength") for stage in explanation.stages]
    return [*rows, cam_row(explanation)]


def difference_rows(explanation: Explanation) -> list[Row]:
    """Returns the differences of every segment, pair by pair of frames, if there are some."""
    differences = explanation.differences
    if differences is None:
        return []
    scale = scale_of(differences, LEVELS, "color")
    rows = []
    for pair in range(1, differences.shape[1] + 1):
        note = (
            f"Frame {pair + 1} of each segment less frame {pair}, as the short-term TDM sees it. "
            "Grey is no change; brighter and darker are what came and what went."
        )
        pictures = scale.colors(differences[:, pair - 1])
        rows.append(Row(f"RGB difference {pair}", note, pictures, scale))
    return rows


def gate_row(explanation: Explanation, stage: int, direction: str = "mean") -> Row:
    """Returns a stage's gates, or their `"strength"`, on one scale for all stages."""
    if direction == "strength":
        scale = scale_of(_of_all_stages(explanation, direction), "of 0.5 at most", "sequential")
        name = "gate strength"
        note = (
            "How strongly the long-term TDMs raise or lower features: root mean square of the "
            "gates over channels."
        )
    else:
        gates = _of_all_stages(explanation, *SIGNED)
        scale = scale_of(gates, "channel mean", "diverging", GATE_LIMIT)
        name, words = SIGNED[direction]
        colors = "Red raises features, blue lowers them."
        note = f"Long-term TDM, {words}, over channels and blocks. {colors}"
    pictures = scale.colors(explanation.stage_gates(stage, direction))
    return Row(f"stage {stage}: {name}", note, pictures, scale, lossless=True)


def cam_row(explanation: Explanation, frames: np.ndarray | None = None) -> Row:
    """Returns Grad-CAM over frames."""
    frames = explanation.center_frames if frames is None else frames
    unit = "logits per cell" if explanation.kind == "logits" else "probability per cell"
    scale = scale_of(explanation.cam, unit, "sequential")
    maps = smoothed(explanation.cam, *frames.shape[1:3])
    maps = maps.repeat(len(frames) // len(maps), axis=0)
    rows, columns = explanation.cam.shape[1:]
    label = explanation.target.label
    note = (
        f"What speaks for {label}, and where: a grid of {columns}x{rows} cells, smoothed and laid "
        "over the frame."
    )
    return Row("Grad-CAM", note, overlay(frames, maps, scale), scale, label=label)


def captions(explanation: Explanation) -> list[str]:
    """Returns which frames each segment is made of."""
    return [f"{frames[0]}-{frames[-1]}" for frames in explanation.indices]


def overlay(pictures: np.ndarray, maps: np.ndarray, scale: Scale) -> np.ndarray:
    """Returns maps laid over pictures: what is zero shows the picture, dimmed and grey."""
    shares = np.clip(maps / scale.high, 0.0, 1.0)[..., np.newaxis]
    grey = pictures.mean(axis=-1, keepdims=True)
    weight = 0.8 * np.sqrt(shares)
    mixed = (1 - weight) * 0.75 * grey + weight * scale.colors(maps)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


def smoothed(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns maps of shape `(n, h, w)` as large as pictures, smoothed between their cells."""
    images = (Image.fromarray(each.astype(np.float32)) for each in maps)
    size, how = (width, height), Image.Resampling.BILINEAR
    return np.stack([np.asarray(image.resize(size, how)) for image in images])


def _of_all_stages(explanation: Explanation, *directions: str) -> np.ndarray:
    chosen = itertools.product(explanation.stages, directions)
    return np.concatenate([explanation.stage_gates(*each).ravel() for each in chosen])
