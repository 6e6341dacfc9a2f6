"""An explanation as rows of pictures, one picture for each segment."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_tdn.evaluation.explaining.colors import (
    Scale,
    color_differences,
    diverging,
    enlarged,
    overlay,
    sequential,
)
from keras_tdn.evaluation.explaining.explain import Explanation

LEVELS = "levels of 255"
GATE_LIMIT = 0.5
SIGNED = {
    "mean": ("gate", "mean of both directions"),
    "forward": ("gate from the next", "from what the next segment has"),
    "backward": ("gate from before", "from what the segment before has"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """Pictures of all segments.

    Args:
        name: A few words.
        note: A sentence that says what is seen.
        pictures: uint8 of shape `(segments, height, width, 3)`.
        scale: What the colours mean; `None` of photographs.
        lossless: Whether they are maps, whose edges and colours have to be exact.
    """

    name: str
    note: str
    pictures: np.ndarray
    scale: Scale | None = None
    lossless: bool = False


def strip_rows(explanation: Explanation) -> list[Row]:
    """The rows that tell most: frames, differences, gates by stage, Grad-CAM."""
    rows = [frame_row(explanation)]
    if explanation.differences is not None:
        pairs = explanation.differences.shape[1]
        rows += [difference_row(explanation, pairs // 2), energy_row(explanation)]
    rows += [strength_row(explanation, stage) for stage in explanation.stages]
    rows += [gate_row(explanation, stage) for stage in explanation.stages]
    rows.append(cam_row(explanation))
    return rows


def frame_row(explanation: Explanation) -> Row:
    """The centre frames."""
    note = "The centre frame of each segment, which the appearance path sees."
    return Row("centre frame", note, explanation.center_frames)


def difference_row(explanation: Explanation, pair: int) -> Row:
    """One of the differences of every segment.

    Args:
        explanation: One with differences.
        pair: Which one: 0 is the second frame less the first.
    """
    differences = _differences(explanation)
    scale = color_differences(differences, LEVELS)
    return Row(
        f"RGB difference {pair + 1}",
        f"Frame {pair + 2} of each segment less frame {pair + 1}, as the short-term TDM sees it. "
        "Grey is no change; brighter and darker are what came and what went.",
        scale.colors(differences[:, pair]),
        scale,
    )


def energy_row(explanation: Explanation) -> Row:
    """Where there is motion inside each segment."""
    energy = explanation.motion_energy
    if energy is None:
        raise ValueError("The explanation has no differences: the model has no short-term TDM.")
    scale = sequential(energy, LEVELS)
    return Row(
        "motion energy",
        "Root mean square of all differences of a segment, over pairs of frames and colours.",
        scale.colors(energy),
        scale,
        lossless=True,
    )


def gate_scale(explanation: Explanation) -> Scale:
    """One scale for the gates of all stages and directions, so that they compare."""
    everything = [
        explanation.stage_gates(stage, direction).ravel()
        for stage in explanation.stages
        for direction in SIGNED
    ]
    return diverging(np.concatenate(everything), "channel mean", GATE_LIMIT)


def gate_row(explanation: Explanation, stage: int, direction: str = "mean") -> Row:
    """The gates of a stage's long-term TDMs.

    Args:
        explanation: One with gates.
        stage: Number of the stage.
        direction: `"mean"`, `"forward"` or `"backward"`.
    """
    scale = gate_scale(explanation)
    height, width = explanation.frames.shape[2:4]
    maps = enlarged(explanation.stage_gates(stage, direction), height, width)
    name, words = SIGNED[direction]
    return Row(
        f"stage {stage}: {name}",
        f"Long-term TDM, {words}, over channels and blocks. Red raises features, blue lowers them.",
        scale.colors(maps),
        scale,
        lossless=True,
    )


def strength_row(explanation: Explanation, stage: int) -> Row:
    """How strongly a stage's long-term TDMs change features, whichever way."""
    everything = [
        explanation.stage_gates(number, "strength").ravel() for number in explanation.stages
    ]
    scale = sequential(np.concatenate(everything), "of 0.5 at most")
    height, width = explanation.frames.shape[2:4]
    maps = enlarged(explanation.stage_gates(stage, "strength"), height, width)
    return Row(
        f"stage {stage}: gate strength",
        "How strongly the long-term TDMs raise or lower features: root mean square of the gates "
        "over channels.",
        scale.colors(maps),
        scale,
        lossless=True,
    )


def cam_scale(explanation: Explanation) -> Scale:
    """The scale of Grad-CAM."""
    unit = "logits per cell" if explanation.kind == "logits" else "probability per cell"
    return sequential(explanation.cam, unit)


def cam_row(explanation: Explanation) -> Row:
    """Grad-CAM over the centre frames."""
    scale = cam_scale(explanation)
    height, width = explanation.frames.shape[2:4]
    maps = enlarged(explanation.cam, height, width, smooth=True)
    rows, columns = explanation.cam.shape[1:]
    return Row(
        f"Grad-CAM: {explanation.target.label}",
        f"What speaks for {explanation.target.label}, and where: a grid of {columns}x{rows} cells, "
        "smoothed and laid over the frame.",
        overlay(explanation.center_frames, maps, scale),
        scale,
    )


def captions(explanation: Explanation) -> list[str]:
    """Which frames each segment is made of."""
    return [f"{frames[0]}-{frames[-1]}" for frames in explanation.indices]


def _differences(explanation: Explanation) -> np.ndarray:
    if explanation.differences is None:
        raise ValueError("The explanation has no differences: the model has no short-term TDM.")
    return explanation.differences
