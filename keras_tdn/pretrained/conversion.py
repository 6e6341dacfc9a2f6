"""Converting the authors' checkpoints: to a model, measured against PyTorch, and to a file."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from keras_tdn.choices import MODEL_SUFFIX, WEIGHTS_SUFFIX
from keras_tdn.files.atomic import check_free, written_beside
from keras_tdn.labels import load_labels
from keras_tdn.models import TDNResNet, TDNResNet50, TDNResNet101
from keras_tdn.models.network_structure import Bottleneck
from keras_tdn.models.predicting import full_precision
from keras_tdn.models.tdn_resnet import RESNET50_DEPTHS, RESNET101_DEPTHS
from keras_tdn.pretrained.catalog import entry_by_name
from keras_tdn.pretrained.checkpoint import import_torch, read_official_checkpoint
from keras_tdn.pretrained.preset_config import PresetCard
from keras_tdn.pretrained.presets import check_replaceable, save_preset
from keras_tdn.pretrained.recorded_logits import make_clip, relative_difference
from keras_tdn.pretrained.state_dict import (
    HEAD_NAMES,
    architecture_of,
    load_official_state_dict,
    without_prefix,
)
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.pretrained.weights_source import entry_differences

DEFAULT_SEGMENTS = 8
PUBLISHED = {RESNET50_DEPTHS: TDNResNet50, RESNET101_DEPTHS: TDNResNet101}

FILE_SUFFIXES = (MODEL_SUFFIX, WEIGHTS_SUFFIX)
# Endings that somebody who gives them to a folder did not mean to.
OTHER_SUFFIXES = (".h5", ".hdf5", ".pth", ".tar", ".pt", ".ckpt", ".safetensors", ".zip", ".json")
REFERENCE_MODULE = "torch_reference"
CLIPS = "clips"
# Float32 rounding stays well below this in a block or a stem, which are too shallow to amplify it,
# and from end to end in a well-conditioned network.
BOUND = 1e-4
# A deep network can amplify rounding a hundred-thousandfold. How much shows in the reference, in
# float32 against float64; our model, rounding elsewhere, may be off by a multiple of that.
ROUNDING_FACTOR = 10.0


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """The result of a conversion.

    Args:
        model: The model, filled.
        classes: Number of classes, from the checkpoint.
        stage_depths: Bottlenecks in each stage, from the checkpoint.
        width: Channels of the stem, from the checkpoint.
        num_segments: Segments that the model was built for. No checkpoint says it.
        labels: Class names, if any were given.
        taps: The measured errors, in the order of computation. Empty if nothing was verified.
        output: What was written, if anything.
    """

    model: TDNResNet
    classes: int
    stage_depths: tuple[int, ...]
    width: int
    num_segments: int
    labels: tuple[str, ...] | None
    taps: tuple[Tap, ...]
    output: Path | None

    @property
    def verified(self) -> bool:
        """Whether the model was measured against the PyTorch forward pass."""
        return bool(self.taps)


def convert_official_checkpoint(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    num_segments: int = DEFAULT_SEGMENTS,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    input_shape: Sequence[int | None] | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> ConversionReport:
    """Converts a checkpoint of the authors' code, such as their published `best.pth.tar`.

    Depths, width and classes are read off the tensors. The number of segments cannot be, and a
    wrong one goes unnoticed: take it from the file's name or its source.

    Args:
        path: The checkpoint. Nothing in it is run; see `read_official_checkpoint`.
        output: Where to write the model: a `.keras` file, a `.weights.h5` file, or else a preset
            folder. `None` writes nothing. A folder called like an entry of the catalog, such as
            `tdn_resnet50_8_kinetics400`, gets that entry's labels, licence and accuracy, and has
            to be its model.
        num_segments: Segments that the checkpoint was trained with; 8 and 16 are published.
        labels: Class names: a data set's name such as `"kinetics400"`, the path of a text file with
            one name per line, or the names.
        input_shape: Shape of one clip. `None` takes any height and width.
        verify: Whether to run one clip through the model and through PyTorch, and to refuse the
            model if they differ by more than rounding does. It takes seconds.
        overwrite: Whether to replace what is at `output`.

    Returns:
        A `ConversionReport` with the model in float32.

    Raises:
        ValueError: if the checkpoint is not one of a TDN, if anything in it is left over or
            missing, if the numbers differ, or if `output` is taken. Nothing is written then.
        ImportError: if PyTorch is not installed.

    Example:

    >>> report = keras_tdn.pretrained.convert_official_checkpoint(
    ...     "best.pth.tar", "tdn_resnet50_k400", num_segments=8, labels="kinetics400"
    ... )
    >>> report.classes
    400
    """
    target = None if output is None else Path(output)
    if target is not None:
        _check_target(target, overwrite)
    entry = None if target is None else entry_by_name(target.name)
    if labels is None and entry is not None:
        labels = entry.dataset
    names = None if labels is None else load_labels(labels)
    state = read_official_checkpoint(path)
    architecture = architecture_of(state)
    if entry is not None:
        wrong = entry_differences(entry, {**architecture, "num_segments": num_segments}, names)
        if wrong:
            raise ValueError(
                f"The folder is called {entry.name!r}, like a published model, and this would be "
                f"another: {'; '.join(wrong)}. Pass num_segments={entry.num_segments} and "
                f"labels={entry.dataset!r} (on the command line --segments and --labels) with that "
                "model's checkpoint, or choose another name."
            )
    if names is not None and len(names) != architecture["classes"]:
        raise ValueError(
            f"The checkpoint {str(path)!r} has {architecture['classes']} classes, and `labels` has "
            f"{len(names)} names. Pass the labels of the data set that it was trained on."
        )
    model = _build(
        architecture, state, num_segments=num_segments, labels=names, input_shape=input_shape
    )
    load_official_state_dict(model, state)
    taps = verify_conversion(model, state) if verify else ()
    if target is not None:
        _write(model, target, overwrite, None if entry is None else entry.card)
    return ConversionReport(
        model=model,
        num_segments=num_segments,
        labels=names,
        taps=taps,
        output=target,
        **architecture,
    )


def verify_conversion(model: TDNResNet, state_dict: Mapping[str, np.ndarray]) -> tuple[Tap, ...]:
    """Measures a model against PyTorch, and raises with all taps if more than rounding differs."""
    taps = measure(model, state_dict)
    failed = [tap.name for tap in taps if not tap.passed]
    if failed:
        table = "\n".join(format_taps(taps))
        raise ValueError(
            "The converted model computes something else than the checkpoint in PyTorch, first at "
            f"{failed[0]!r}. Nothing was written; please report this with the table.\n{table}"
        )
    return taps


def format_taps(taps: Sequence[Tap]) -> list[str]:
    """Returns the lines of a table of errors."""
    return [
        f"{'place':<20} {'alone':>8} {'whole':>8} {'at most':>8}",
        *(
            f"{tap.name:<20} {tap.local_error:8.1e} {tap.error:8.1e} {tap.bound:8.1e}"
            f"{'' if tap.passed else '  DIFFERENT'}"
            for tap in taps
        ),
    ]


def _build(
    architecture: Mapping[str, Any], state: Mapping[str, np.ndarray], **arguments: Any
) -> TDNResNet:
    depths = architecture["stage_depths"]
    arguments |= {name: architecture[name] for name in ("width", "classes")}
    # Whatever the global policy is: the checkpoint is float32, and so is the comparison.
    arguments["dtype"] = "float32"
    if f"{HEAD_NAMES[1]}.weight" in without_prefix(state):
        # The authors' code keeps the classifier there only when it trains without dropout.
        arguments["dropout_rate"] = 0.0
    if depths in PUBLISHED:
        return PUBLISHED[depths](**arguments)
    return TDNResNet(depths, **arguments)


def _check_target(target: Path, overwrite: bool) -> None:
    if target.name.endswith(FILE_SUFFIXES):
        check_free(target, overwrite)
        if target.is_dir():
            raise ValueError(f"{str(target)!r} is a folder. Choose another name for the file.")
    elif target.name.endswith(OTHER_SUFFIXES):
        raise ValueError(
            f"A model is written as {' or '.join(FILE_SUFFIXES)} file, or as a preset folder. "
            f"Received: output={str(target)!r}"
        )
    else:
        check_replaceable(target, overwrite)


def _write(model: TDNResNet, target: Path, overwrite: bool, card: PresetCard | None) -> None:
    if not target.name.endswith(FILE_SUFFIXES):
        save_preset(model, target, card=card, overwrite=overwrite)
        return
    with written_beside(target) as new:
        if target.name.endswith(MODEL_SUFFIX):
            model.save(new)
        else:
            write_weights_file(model, new, described=True)


@dataclasses.dataclass(frozen=True)
class Tap:
    """How far the model is from the reference in float64 at one tap, relative to the reference.

    `local_error` is the largest error of a block, or stem, since the tap before when it is fed the
    reference's values: it shows whether both compute the same, however much rounding the network as
    a whole amplifies. `error` is from end to end; `reference_error` is that of the reference in
    float32.
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
    """Runs a float32 model and the reference on one seeded clip, as a whole and section by section.

    Returns one `Tap` for each reported point, in the order of computation.
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
    """Part of a model, from some taps to others: their symbolic tensors."""

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
    renamed = {
        f"motion_stage1_block{last[0]}": "difference_stage1",
        **{f"stage{stage}_block{last[stage - 1]}": f"stage{stage}" for stage in (1, 2, 3, 4)},
    }
    same = (
        "difference_stem",
        "difference_pool",
        "appearance_pool",
        "stage2_block0_ltdm",
        "stage2_block0_shift",
        f"stage4_block{last[3]}_ltdm",
        "segment_logits",
        "logits",
    )
    return renamed | {tap: tap for tap in same}


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
