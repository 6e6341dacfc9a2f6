"""Measuring a converted model against the PyTorch forward pass, tap by tap.

A tap is a point in the network where the reference records what it computes.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from keras_tdn.models import TDNResNet
from keras_tdn.models.network_structure import Bottleneck
from keras_tdn.models.predicting import full_precision
from keras_tdn.pretrained.checkpoint import import_torch
from keras_tdn.pretrained.recorded_logits import make_clip, relative_difference

REFERENCE_MODULE = "torch_reference"
CLIPS = "clips"

# Float32 rounding stays well below this in a block or a stem, which are too shallow to amplify it,
# and from end to end in a well-conditioned network.
BOUND = 1e-4
# A deep network can amplify rounding a hundred-thousandfold. How much shows in the reference, in
# float32 against float64; our model, rounding elsewhere, may be off by a multiple of that.
ROUNDING_FACTOR = 10.0


@dataclasses.dataclass(frozen=True)
class Tap:
    """How far the model is from the reference at one tap.

    All errors are relative to the reference in float64: norm of the difference over norm of the
    reference.

    Args:
        name: The tap.
        local_error: The largest error of a block, or stem, between the tap before and this one when
            it is fed the reference's values. It shows whether both compute the same, however much
            rounding the network as a whole amplifies.
        error: The error from end to end.
        reference_error: The error of the reference in float32, from end to end.
    """

    name: str
    local_error: float
    error: float
    reference_error: float

    @property
    def bound(self) -> float:
        """The largest error from end to end that rounding explains."""
        return max(BOUND, ROUNDING_FACTOR * self.reference_error)

    @property
    def passed(self) -> bool:
        """Whether rounding explains both errors; NaN is never explained."""
        return self.local_error <= BOUND and self.error <= self.bound


def measure(model: TDNResNet, state_dict: Mapping[str, np.ndarray]) -> tuple[Tap, ...]:
    """Runs model and reference on one seeded clip, as a whole and section by section.

    Args:
        model: A float32 model with all temporal modules, classifier and preprocessing.
        state_dict: The authors' tensors.

    Returns:
        One `Tap` for each reported point, in the order of computation.
    """
    import_torch()
    reference = load_torch_reference()
    clip = make_clip(model)
    exact, rounded = (
        reference.forward(state_dict, clip, model.num_segments, dtype)
        for dtype in ("float64", "float32")
    )
    sections = sections_of(model)
    outputs = {tap: value for section in sections for tap, value in section.outputs.items()}
    with full_precision():
        local = {
            tap: relative_difference(value, exact[tap])
            for section in sections
            for tap, value in section.run({CLIPS: clip, **exact}).items()
        }
        computed = Section({CLIPS: model.input}, outputs).run({CLIPS: clip})
    taps, largest = [], 0.0
    reported = _reported_taps(model)
    for tap in outputs:
        largest = max(largest, local[tap])
        if tap in reported:
            errors = (relative_difference(each[tap], exact[tap]) for each in (computed, rounded))
            taps.append(Tap(reported[tap], largest, *errors))
            largest = 0.0
    return tuple(taps)


@dataclasses.dataclass(frozen=True)
class Section:
    """Part of a model, from some taps to others.

    Args:
        inputs: Symbolic tensors that it starts from, by tap.
        outputs: Symbolic tensors that it computes, by tap.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def run(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns what the model computes here from the values at the inputs."""
        inputs = list(self.inputs.values())
        given = [keras.ops.convert_to_tensor(values[tap], "float32") for tap in self.inputs]
        part = keras.Model(inputs[0] if len(inputs) == 1 else inputs, dict(self.outputs))
        # Called as it is: compiling takes the backends longer than one clip does.
        results = part(given[0] if len(given) == 1 else given, training=False)
        return {tap: keras.ops.convert_to_numpy(value) for tap, value in results.items()}


def sections_of(model: TDNResNet) -> list[Section]:
    """Returns the stems, each block, the fusions and the head, in the order of computation."""
    network = model.structure
    motion = network.motion
    if motion is None:
        raise ValueError("The reference has a motion path. Received: short_term=False")
    clips = {CLIPS: model.input}
    appearance = {"appearance_pool": network.stem_pool[-1].output}
    difference = {"difference_pool": motion.pool[-1].output}
    stem_fusion = {"stem_fusion": motion.stem_fusion.output}
    before = {"stage1_fusion": motion.stage_fusion.output}
    sections = [
        Section(clips, {"difference_stem": motion.tdm.output, **difference}),
        *_block_sections(motion.stage, difference),
        Section(clips, appearance),
        Section(appearance | difference, stem_fusion),
        *_block_sections(network.stages[0], stem_fusion),
        Section(_output(network.stages[0][-1]) | _output(motion.stage[-1]), before),
    ]
    for stage in network.stages[1:]:
        sections += _block_sections(stage, before)
        before = _output(stage[-1])
    head = {"segment_logits": "classifier", "logits": "consensus"}
    ends = {tap: model.get_layer(layer).output for tap, layer in head.items()}
    return [*sections, Section(before, ends)]


def _block_sections(stage: tuple[Bottleneck, ...], before: dict[str, Any]) -> list[Section]:
    sections = []
    for block in stage:
        temporal = {"ltdm": block.long_term_tdm, "shift": block.temporal_shift}
        outputs = {
            f"{block.name}_{part}": layer.output
            for part, layer in temporal.items()
            if layer is not None
        }
        sections.append(Section(before, outputs | _output(block)))
        before = _output(block)
    return sections


def _output(block: Bottleneck) -> dict[str, Any]:
    return {block.name: block.out.output}


def _reported_taps(model: TDNResNet) -> dict[str, str]:
    """Returns the taps to report, with their names in the report."""
    last = [depth - 1 for depth in model.stage_depths]
    reported: dict[str, str | None] = {
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
    return {tap: name or tap for tap, name in reported.items()}


def load_torch_reference() -> ModuleType:
    """Loads the reference: part of the installed package, or `weights/` of the repository."""
    name = f"{__package__}.{REFERENCE_MODULE}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
    path = Path(__file__).parents[2] / "weights" / f"{REFERENCE_MODULE}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(
            f"The reference to verify with is missing: neither {name} nor {str(path)!r} is there. "
            "Install keras-tdn again, or pass verify=False (on the command line --no-verify)."
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
