"""Checking a preset on the machine that is to use it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np

from keras_tdn.labels import DATASETS, load_labels
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.preset_files import FILES, PresetFiles
from keras_tdn.pretrained.presets import build_preset, read_preset
from keras_tdn.pretrained.recorded_logits import (
    RecordedLogits,
    record_logits,
    relative_difference,
)
from keras_tdn.pretrained.weights_source import open_preset

__all__ = ["PresetCheck", "PresetReport", "verify_preset"]


@dataclasses.dataclass(frozen=True)
class PresetCheck:
    """One thing that was looked at.

    Args:
        name: What.
        passed: Whether it is as it should be.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.name}: {self.detail}"


@dataclasses.dataclass(frozen=True)
class PresetReport:
    """What `verify_preset` found.

    Args:
        origin: The preset.
        checks: Every check that was made, in order; after a failure those that need it are left
            out.
    """

    origin: str
    checks: tuple[PresetCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    def __str__(self) -> str:
        return "\n".join([self.origin, *(f"  {check}" for check in self.checks)])


def verify_preset(source: str | os.PathLike[str]) -> PresetReport:
    """Checks a preset's files, labels and weights, and what its model computes on this machine.

    Use it before publishing a preset, and before relying on one. It catches files that were
    damaged or exchanged, labels that were reordered or edited, and a machine or backend that
    computes something else. What it cannot catch: labels of a data set of your own that somebody
    changed together with every hash and with the recorded logits. For the data sets in
    `keras_tdn.labels` the labels are compared with the lists shipped with the package.

    Args:
        source: See `load_preset`.

    Returns:
        A `PresetReport`. It takes a second or some, for one clip.

    Raises:
        ValueError: if there is no preset at all.
        OSError: if it could not be downloaded.

    Example:

    >>> keras_tdn.pretrained.verify_preset("my_preset").passed
    True
    """
    files = open_preset(source)
    return PresetReport(files.title, tuple(_checks(files)))


def _checks(files: PresetFiles) -> Iterator[PresetCheck]:
    hashes = [_hash_check(files, name) for name in FILES]
    yield from hashes
    # A model card that was edited does not change the model.
    if not all(check.passed for check in hashes[:-1]):
        return
    try:
        config, recorded = read_preset(files)
    except ValueError as error:
        yield PresetCheck("belongs together", False, str(error))
        return
    yield PresetCheck(
        "belongs together", True, "labels, config and weights fit the recorded logits"
    )
    yield _label_check(config)
    yield _logits_check(files, config, recorded)


def _hash_check(files: PresetFiles, name: str) -> PresetCheck:
    try:
        files.path(name)
    except ValueError as error:
        return PresetCheck(name, False, str(error))
    return PresetCheck(name, True, f"SHA-256 {files.sums[name]}")


def _label_check(config: PresetConfig) -> PresetCheck:
    name, labels, dataset = "labels", config.labels, config.card.dataset
    if labels is None:
        known = dataset in DATASETS and config.arguments["include_top"]
        told = f"none, and the card says {dataset}" if known else "none"
        return PresetCheck(name, not known, told)
    if len(set(labels)) != len(labels):
        return PresetCheck(name, False, "a name occurs twice")
    if dataset in DATASETS:
        expected = load_labels(dataset)
        if labels == expected:
            return PresetCheck(name, True, f"{len(labels)}, those of {dataset} in their order")
        return PresetCheck(name, False, f"not those of {dataset}: {_difference(labels, expected)}")
    for known_set in DATASETS:
        expected = load_labels(known_set)
        if sorted(labels) == sorted(expected) and labels != expected:
            difference = _difference(labels, expected)
            return PresetCheck(name, False, f"those of {known_set} in another order: {difference}")
    return PresetCheck(
        name, True, f"{len(labels)}, as recorded; no list is shipped to compare them with"
    )


def _difference(labels: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(labels) != len(expected):
        return f"{len(labels)} names instead of {len(expected)}"
    index = next(index for index, name in enumerate(expected) if labels[index] != name)
    return f"first at {index}, {labels[index]!r} instead of {expected[index]!r}"


def _logits_check(
    files: PresetFiles, config: PresetConfig, recorded: RecordedLogits
) -> PresetCheck:
    name = "logits of the seeded clip"
    try:
        model = build_preset(files, config, recorded)
        ours = record_logits(model, config.labels, recorded.config_sha256, recorded.weights_sha256)
    except ValueError as error:
        return PresetCheck(name, False, str(error))
    if (ours.shape, ours.clip_sha256) != (recorded.shape, recorded.clip_sha256):
        return PresetCheck(
            name, False, "another clip was recorded: by another version of keras_tdn, or edited"
        )
    difference = relative_difference(np.array(ours.logits), np.array(recorded.logits))
    # The tolerance is this machine's, so that a file cannot choose its own.
    bound = ours.tolerance
    detail = f"relative difference {difference:.1e}, at most {bound:.1e}"
    if len(ours.logits) > 1 and config.arguments["include_top"]:
        detail += f"; first guess {_guess(ours, config)}"
    return PresetCheck(name, difference <= bound, detail)


def _guess(record: RecordedLogits, config: PresetConfig) -> str:
    index = int(np.argmax(record.logits))
    return repr(config.labels[index]) if config.labels else str(index)
