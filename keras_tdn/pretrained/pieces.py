"""A TDN model taken apart at the places where the PyTorch reference records what it computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_tdn.models import TDNResNet

# The name of the models' input layer.
CLIPS = "clips"


@dataclasses.dataclass(frozen=True)
class Piece:
    """Part of a model, between two sets of places.

    Args:
        inputs: Places that it starts from, to the names of the layers that give them.
        outputs: Places that it computes, to the names of the layers that give them.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def run(self, model: TDNResNet, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What this part of `model` makes of the values at its inputs."""
        inputs = [model.get_layer(layer).output for layer in self.inputs.values()]
        outputs = {place: model.get_layer(layer).output for place, layer in self.outputs.items()}
        part = keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs)
        given = [keras.ops.convert_to_tensor(values[place], "float32") for place in self.inputs]
        # Called as it is: compiling takes the backends longer than one clip does.
        results = part(given[0] if len(given) == 1 else given, training=False)
        return {place: keras.ops.convert_to_numpy(value) for place, value in results.items()}


def pieces_of(model: TDNResNet) -> list[Piece]:
    """The stems, each block, the two fusions and the head, in the order of computation."""
    depths = model.stage_depths
    motion_stem = {"difference_stem": "short_term_tdm", "difference_pool": "motion_pool"}
    pieces = [
        Piece({CLIPS: CLIPS}, motion_stem),
        *_blocks("motion_stage1", depths[0], ("difference_pool", "motion_pool")),
        Piece({CLIPS: CLIPS}, {"appearance_pool": "stem_pool"}),
        Piece(
            {"appearance_pool": "stem_pool", "difference_pool": "motion_pool"},
            {"stem_fusion": "stem_fusion"},
        ),
        *_blocks("stage1", depths[0], ("stem_fusion", "stem_fusion")),
        Piece(
            dict([_last("stage1", depths[0]), _last("motion_stage1", depths[0])]),
            {"stage1_fusion": "stage1_fusion"},
        ),
    ]
    before = ("stage1_fusion", "stage1_fusion")
    for stage, depth in enumerate(depths[1:], start=2):
        pieces += _blocks(f"stage{stage}", depth, before)
        before = _last(f"stage{stage}", depth)
    head = {"segment_logits": "classifier", "logits": "consensus"}
    return [*pieces, Piece(dict([before]), head)]


def places_of(model: TDNResNet) -> dict[str, str]:
    """The places to report: names in `pieces_of` to names in the report."""
    last = [depth - 1 for depth in model.stage_depths]
    reported: dict[str, Any] = {
        "difference_stem": None,
        "difference_pool": None,
        f"motion_stage1_block{last[0]}": "difference_stage1",
        "appearance_pool": None,
        f"stage1_block{last[0]}": "stage1",
        "stage2_block0_ltdm": None,
        "stage2_block0_shift": None,
        f"stage2_block{last[1]}": "stage2",
        f"stage3_block{last[2]}": "stage3",
        f"stage4_block{last[3]}_ltdm": None,
        f"stage4_block{last[3]}": "stage4",
        "segment_logits": None,
        "logits": None,
    }
    return {place: name or place for place, name in reported.items()}


def _blocks(stage: str, depth: int, before: tuple[str, str]) -> list[Piece]:
    pieces = []
    for block in range(depth):
        name = f"{stage}_block{block}"
        temporal = {
            f"{name}_ltdm": f"{name}_long_term_tdm",
            f"{name}_shift": f"{name}_temporal_shift",
        }
        if stage.endswith("stage1"):
            temporal = {}
        pieces.append(Piece(dict([before]), {**temporal, name: f"{name}_out"}))
        before = (name, f"{name}_out")
    return pieces


def _last(stage: str, depth: int) -> tuple[str, str]:
    name = f"{stage}_block{depth - 1}"
    return name, f"{name}_out"
