"""From a checkpoint of the authors' to a model, checked number by number, and to a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.files.atomic import check_free, written_beside
from keras_tdn.labels import load_labels
from keras_tdn.models import TDNResNet, TDNResNet50, TDNResNet101
from keras_tdn.models.published import RESNET50_DEPTHS, RESNET101_DEPTHS
from keras_tdn.pretrained.catalog import CatalogEntry, entry_by_name
from keras_tdn.pretrained.checkpoint import read_official_checkpoint
from keras_tdn.pretrained.official import (
    HEAD_NAMES,
    architecture_of,
    load_official_state_dict,
    without_prefix,
)
from keras_tdn.pretrained.presets import check_replaceable, save_preset
from keras_tdn.pretrained.verification import Tap, measure
from keras_tdn.pretrained.weights_writer import write_weights_file

DEFAULT_SEGMENTS = 8

FILE_SUFFIXES = (".keras", ".weights.h5")
# Endings that somebody who gives them to a folder did not mean to.
OTHER_SUFFIXES = (".h5", ".hdf5", ".pth", ".tar", ".pt", ".ckpt", ".safetensors", ".zip", ".json")


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What a conversion made.

    Args:
        model: The model, filled.
        classes: Number of classes, from the checkpoint.
        stage_depths: Bottlenecks in each stage, from the checkpoint.
        width: Channels of the stem, from the checkpoint.
        num_segments: Segments that the model was built for. No checkpoint tells.
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
    wrong one goes unnoticed: the file's name or its source must tell.

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
        _check_is_entry(entry, {**architecture, "num_segments": num_segments, "labels": names})
    if names is not None and len(names) != architecture["classes"]:
        raise ValueError(
            f"The checkpoint {str(path)!r} has {architecture['classes']} classes, and `labels` has "
            f"{len(names)} names. Pass the labels of the data set that it was trained on."
        )
    model = _build(architecture, state, num_segments, names, input_shape)
    load_official_state_dict(model, state)
    taps = verify_conversion(model, state) if verify else ()
    if target is not None:
        _write(model, target, overwrite, entry)
    return ConversionReport(
        model=model,
        num_segments=num_segments,
        labels=names,
        taps=taps,
        output=target,
        **architecture,
    )


def verify_conversion(model: TDNResNet, state_dict: Mapping[str, np.ndarray]) -> tuple[Tap, ...]:
    """Measures a model against the PyTorch forward pass with the authors' tensors.

    Raises:
        ValueError: if they differ by more than rounding explains; every place is listed.
    """
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
    """The lines of a table of errors."""
    return [
        f"{'place':<20} {'alone':>8} {'whole':>8} {'at most':>8}",
        *(
            f"{tap.name:<20} {tap.local_error:8.1e} {tap.error:8.1e} {tap.bound:8.1e}"
            f"{'' if tap.passed else '  DIFFERENT'}"
            for tap in taps
        ),
    ]


def _build(
    architecture: Mapping[str, Any],
    state: Mapping[str, np.ndarray],
    num_segments: int,
    labels: tuple[str, ...] | None,
    input_shape: Sequence[int | None] | None,
) -> TDNResNet:
    depths = architecture["stage_depths"]
    arguments: dict[str, Any] = {
        "width": architecture["width"],
        "classes": architecture["classes"],
        "num_segments": num_segments,
        "labels": labels,
        "input_shape": input_shape,
        # Whatever the global policy is: the checkpoint is float32, and so is the comparison.
        "dtype": "float32",
    }
    if f"{HEAD_NAMES[1]}.weight" in without_prefix(state):
        # The authors' code keeps the classifier there only when it trains without dropout.
        arguments["dropout_rate"] = 0.0
    if depths == RESNET50_DEPTHS:
        return TDNResNet50(**arguments)
    if depths == RESNET101_DEPTHS:
        return TDNResNet101(**arguments)
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


def _check_is_entry(entry: CatalogEntry, received: Mapping[str, Any]) -> None:
    expected = {
        "stage_depths": entry.stage_depths,
        "classes": entry.classes,
        "num_segments": entry.num_segments,
        "labels": load_labels(entry.dataset),
    }
    wrong = [name for name, value in expected.items() if received[name] != value]
    if wrong:
        told = "; ".join(
            "the labels differ" if name == "labels" else f"{name} is {received[name]}, not {value}"
            for name, value in expected.items()
            if name in wrong
        )
        raise ValueError(
            f"The folder is called {entry.name!r}, like a published model, and this would be "
            f"another: {told}. Pass num_segments={entry.num_segments} and "
            f"labels={entry.dataset!r} (on the command line --segments and --labels) with that "
            "model's checkpoint, or choose another name."
        )


def _write(
    model: TDNResNet, target: Path, overwrite: bool, entry: CatalogEntry | None = None
) -> None:
    suffix = next((suffix for suffix in FILE_SUFFIXES if target.name.endswith(suffix)), None)
    if suffix is None:
        card = None if entry is None else entry.card
        save_preset(model, target, card=card, overwrite=overwrite)
        return
    with written_beside(target) as new:
        if suffix == ".keras":
            model.save(new)
        else:
            write_weights_file(model, new, described=True)
