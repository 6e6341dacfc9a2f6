"""Converting the authors' checkpoints: to a model, measured against PyTorch, and to a file."""

from __future__ import annotations

import dataclasses
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
from keras_tdn.models import TDNResNet
from keras_tdn.models.network_structure import Bottleneck, run_layers
from keras_tdn.models.predicting import full_precision
from keras_tdn.pretrained import state_dict as official
from keras_tdn.pretrained.catalog import CONSTRUCTORS, entry_by_name
from keras_tdn.pretrained.checkpoint import import_torch, read_official_checkpoint
from keras_tdn.pretrained.presets import check_replaceable, save_preset
from keras_tdn.pretrained.recorded_logits import make_clip, relative_difference
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.pretrained.weights_source import entry_differences

DEFAULT_SEGMENTS = 8
FILE_SUFFIXES = (MODEL_SUFFIX, WEIGHTS_SUFFIX)
# Endings that somebody who gives them to a folder did not mean to.
OTHER_SUFFIXES = (".h5", ".hdf5", ".pth", ".tar", ".pt", ".ckpt", ".safetensors", ".zip", ".json")
# Float32 rounding stays well below this in a block or a stem, which are too shallow to amplify it,
# and from end to end in a well-conditioned network.
BOUND = 1e-4
# A deep network can amplify rounding a hundred-thousandfold. How much shows in the reference, in
# float32 against float64; our model may be off by a multiple of that.
ROUNDING_FACTOR = 10.0


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """The result of a conversion; classes, depths and width are from the checkpoint.

    Args:
        model: The model, filled.
        classes: Number of classes.
        stage_depths: Bottlenecks in each stage.
        width: Channels of the stem.
        num_segments: Segments that the model was built for.
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
        path: The checkpoint. Nothing in it is run.
        output: Where to write the model: a `.keras` file, a `.weights.h5` file, or else a preset
            folder. A folder called like an entry of the catalog, such as
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
    """
    target = None if output is None else Path(output)
    if target is not None:
        _check_target(target, overwrite)
    entry = None if target is None else entry_by_name(target.name)
    if labels is None and entry is not None:
        labels = entry.dataset
    names = None if labels is None else load_labels(labels)
    state = read_official_checkpoint(path)
    architecture = official.architecture_of(state)
    if entry is not None:
        arguments = {**architecture, "num_segments": num_segments}
        if wrong := entry_differences(entry, arguments, names):
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
    # The authors' code keeps the classifier there only when it trains without dropout.
    has_dropout = f"{official.HEAD_NAMES[1]}.weight" not in official.without_prefix(state)
    constructor = CONSTRUCTORS.get(architecture["stage_depths"], "TDNResNet")
    model = TDNResNet(
        **architecture,
        name=f"tdn_{constructor.removeprefix('TDN').lower()}",
        input_shape=input_shape,
        num_segments=num_segments,
        dropout_rate=0.5 if has_dropout else 0.0,
        labels=names,
        # Whatever the global policy is: the checkpoint is float32, and so is the comparison.
        dtype="float32",
    )
    official.load_official_state_dict(model, state)
    taps = verify_conversion(model, state) if verify else ()
    if target is not None and not target.name.endswith(FILE_SUFFIXES):
        save_preset(model, target, card=None if entry is None else entry.card, overwrite=overwrite)
    elif target is not None:
        with written_beside(target) as new:
            if target.name.endswith(MODEL_SUFFIX):
                model.save(new)
            else:
                write_weights_file(model, new, described=True)
    return ConversionReport(
        model, **architecture, num_segments=num_segments, labels=names, taps=taps, output=target
    )


def format_taps(taps: Sequence[Tap]) -> list[str]:
    """Returns the lines of a table of errors."""
    lines = [f"{'place':<20} {'alone':>8} {'whole':>8} {'at most':>8}"]
    for tap in taps:
        numbers = f"{tap.local_error:8.1e} {tap.error:8.1e} {tap.bound:8.1e}"
        lines.append(f"{tap.name:<20} {numbers}{'' if tap.passed else '  DIFFERENT'}")
    return lines


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


@dataclasses.dataclass(frozen=True)
class Tap:
    """How far the model is from the reference in float64 at one tap, relative to the reference.

    `local_error` is the largest since the reported tap before, where each part is fed the
    reference's values: it shows whether both compute the same, however much rounding the whole
    network amplifies. `error` is from end to end; `reference_error` is that of the reference in
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


def verify_conversion(model: TDNResNet, state_dict: Mapping[str, np.ndarray]) -> tuple[Tap, ...]:
    """Measures a float32 model against PyTorch on a seeded clip; returns, or raises with, taps."""
    import_torch()
    reference, clip = load_torch_reference(), make_clip(model)
    given = state_dict, clip, model.num_segments
    exact, rounded = (reference.forward(*given, dtype) for dtype in ("float64", "float32"))
    with full_precision():
        computed, alone = run_taps(model, clip), run_taps(model, clip, exact)
    last = model.stage_depths[3] - 1
    modules = ("stage2_block0_ltdm", "stage2_block0_shift", f"stage4_block{last}_ltdm")
    taps, largest = [], 0.0
    for tap, value in alone.items():
        largest = max(largest, relative_difference(value, exact[tap]))
        if tap in modules or not ("_block" in tap or tap.endswith("_fusion")):
            errors = (relative_difference(each[tap], exact[tap]) for each in (computed, rounded))
            taps.append(Tap(tap, largest, *errors))
            largest = 0.0
    if failed := [tap.name for tap in taps if not tap.passed]:
        table = "\n".join(format_taps(taps))
        raise ValueError(
            "The converted model computes something else than the checkpoint in PyTorch, first at "
            f"{failed[0]!r}. Nothing was written; please report this with the table.\n{table}"
        )
    return tuple(taps)


def run_taps(
    model: TDNResNet, clips: np.ndarray, given: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Runs a model that has a motion path; returns its values by tap, in the order of computation.

    Behind each tap the network goes on with the value given for it, if any are given.
    """
    network, values = model.structure, {}
    motion: Any = network.motion

    def tap(name: str, value: Any) -> Any:
        values[name] = keras.ops.convert_to_numpy(value)
        if given is None:
            return value
        return keras.ops.convert_to_tensor(given[name], model.compute_dtype)

    def run_stage(name: str, blocks: tuple[Bottleneck, ...], x: Any) -> Any:
        for block in blocks:
            x, shortcut = block.before_segments_meet(x)
            for part, layer in (("ltdm", block.long_term_tdm), ("shift", block.temporal_shift)):
                if layer is not None:
                    x = tap(f"{block.name}_{part}", layer(x))
            x = run_layers(x, block.convs[1:])
            x = tap(block.name, block.out(block.add([x, shortcut])))
        return tap(name, x)

    x = clips if network.normalization is None else network.normalization(clips)
    before = tap("difference_stem", motion.tdm(x))
    before = tap("difference_pool", run_layers(before, motion.pool))
    after = run_stage("difference_stage1", motion.stage, before)
    x = run_layers(network.stem(network.center_frame(x)), network.stem_pool)
    x = tap("stem_fusion", motion.stem_fusion([tap("appearance_pool", x), before]))
    x = run_stage("stage1", network.stages[0], x)
    x = tap("stage1_fusion", motion.stage_fusion([x, after]))
    for number, stage in enumerate(network.stages[1:], start=2):
        x = run_stage(f"stage{number}", stage, x)
    *pooling_to_classifier, consensus, _ = network.head
    tap("logits", consensus(tap("segment_logits", run_layers(x, pooling_to_classifier))))
    return values


def load_torch_reference() -> ModuleType:
    """Loads the reference: part of the installed package, or `weights/` of the repository."""
    name = "torch_reference.py"
    paths = Path(__file__).with_name(name), Path(__file__).parents[2] / "weights" / name
    path = next(filter(Path.is_file, paths), paths[-1])
    spec = importlib.util.spec_from_file_location("torch_reference", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(
            f"The reference to verify with is missing: neither {paths[0]} nor {paths[1]} is there. "
            "Install keras-tdn again, or pass verify=False (on the command line --no-verify)."
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
