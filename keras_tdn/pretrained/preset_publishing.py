"""Checking a preset on this machine, and publishing one that passes on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.files.atomic import sha256_of
from keras_tdn.labels import DATASETS, load_labels
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.preset_files import (
    FILES,
    HUB_PREFIX,
    SUMS_FILE,
    PresetFiles,
    open_folder,
    split_source,
)
from keras_tdn.pretrained.presets import build_preset, read_preset
from keras_tdn.pretrained.recorded_logits import RecordedLogits, record_logits, relative_difference
from keras_tdn.pretrained.weights_source import open_preset


@dataclasses.dataclass(frozen=True)
class PresetCheck:
    """What was checked of a preset, whether it passed, and what was found."""

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.name}: {self.detail}"


@dataclasses.dataclass(frozen=True)
class PresetReport:
    """The result of `verify_preset`: the checks in order, without those that a failure prevents."""

    origin: str
    checks: tuple[PresetCheck, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def __str__(self) -> str:
        return "\n".join([self.origin, *(f"  {check}" for check in self.checks)])


@dataclasses.dataclass(frozen=True)
class PushFile:
    """A file that is sent to the Hub."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class PushReport:
    """The result of a push, or of a dry run.

    Args:
        repo: The repository, `"organisation/name"`.
        private: Whether the repository is made private if it is not there yet.
        files: What is sent.
        checks: What `verify_preset` found before.
        commit: The commit that holds the files; `None` after a dry run.
    """

    repo: str
    private: bool
    files: tuple[PushFile, ...]
    checks: PresetReport
    commit: str | None = None

    @property
    def sums_sha256(self) -> str:
        """SHA-256 of `SHA256SUMS`, which the catalog pins a preset by."""
        return next(file.sha256 for file in self.files if file.name == SUMS_FILE)

    def __str__(self) -> str:
        went = f"went, as commit {self.commit}" if self.commit else "would go, and nothing else"
        title = f"To {self.repo}{' (private)' if self.private else ''} {went}:"
        lines = [f"  {file.size:>11,}  {file.sha256}  {file.name}" for file in self.files]
        return "\n".join([title, *lines])


def verify_preset(source: str | os.PathLike[str]) -> PresetReport:
    """Checks a preset's files, labels and weights, and what its model computes on this machine.

    It catches files that were damaged or exchanged, labels that were reordered or edited, and a
    machine or backend that computes something else. Labels are compared with the lists in
    `keras_tdn.labels`; for another data set it cannot catch that somebody changed them together
    with every hash and the recorded logits.

    Args:
        source: See `load_preset`.

    Returns:
        A `PresetReport`.

    Raises:
        ValueError: if there is no preset at all.
        OSError: if it could not be downloaded.

    Example:

    >>> keras_tdn.pretrained.verify_preset("my_preset").passed
    True
    """
    files = open_preset(source)
    return PresetReport(files.title, tuple(_checks(files)))


def push_preset(
    folder: str | os.PathLike[str],
    repo: str,
    *,
    dry_run: bool = True,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> PushReport:
    """Uploads a preset folder to the Hugging Face Hub, after verifying it.

    Token and endpoint are huggingface_hub's: `hf auth login` or `HF_TOKEN`, and `HF_ENDPOINT`. All
    files go in one commit, and nothing else that may lie in the folder.

    Args:
        folder: What `save_preset` wrote.
        repo: The repository, `"organisation/name"`; it is created if needed.
        dry_run: Whether to report what would be sent, and send nothing.
        private: Whether a new repository is private.
        revision: Branch to push to; `None` is `main`.
        message: The commit's message.

    Returns:
        A `PushReport`; `str` of it is readable.

    Raises:
        ValueError: if the preset fails a check.
        OSError: if the Hub refuses it or cannot be reached.

    Example:

    >>> print(keras_tdn.pretrained.push_preset("my_preset", "my-lab/my_preset"))
    """
    repo, pinned = split_source(f"{HUB_PREFIX}{repo.removeprefix(HUB_PREFIX)}")
    if pinned is not None:
        raise ValueError(
            f"Pass the branch to push to as `revision`. Received: repo='{repo}@{pinned}'"
        )
    folder = Path(folder)
    open_folder(folder)
    checks = verify_preset(folder)
    if not checks.passed:
        raise ValueError(f"The preset is not published, because it fails a check.\n{checks}")
    paths = [folder / name for name in (*FILES, SUMS_FILE)]
    files = tuple(PushFile(path.name, path.stat().st_size, sha256_of(path)) for path in paths)
    report = PushReport(repo, private, files, checks)
    if dry_run:
        return report
    import huggingface_hub
    from huggingface_hub import errors

    api = huggingface_hub.HfApi()
    operations = [huggingface_hub.CommitOperationAdd(path.name, path) for path in paths]
    message = message or f"Preset {folder.name}"
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.create_commit(repo, operations, commit_message=message, revision=revision)
    except (OSError, *errors.HfHubHTTPError.__bases__) as error:
        raise OSError(
            f"The Hugging Face Hub did not take the preset for {repo!r} ({error}): log in with "
            "`hf auth login` (or set HF_TOKEN) with a token that may write there, and check the "
            "organisation's name."
        ) from error
    return dataclasses.replace(report, commit=commit.oid)


def _checks(files: PresetFiles) -> Iterator[PresetCheck]:
    hashes = [_made(name, _check_hash, files, name) for name in FILES]
    yield from hashes
    # A model card that was edited does not change the model.
    if not all(check.passed for check in hashes[:-1]):
        return
    name, found = "belongs together", "labels, config and weights fit the recorded logits"
    try:
        config, recorded = read_preset(files)
    except ValueError as error:
        yield PresetCheck(name, False, str(error))
        return
    yield PresetCheck(name, True, found)
    yield _made("labels", _check_labels, config)
    yield _made("logits of the seeded clip", _check_logits, files, config, recorded)


def _made(name: str, check: Callable[..., str], *arguments: Any) -> PresetCheck:
    """Makes a check, which returns what it found, or raises a `ValueError` with it."""
    try:
        return PresetCheck(name, True, check(*arguments))
    except ValueError as error:
        return PresetCheck(name, False, str(error))


def _check_hash(files: PresetFiles, name: str) -> str:
    files.path(name)
    return f"SHA-256 {files.sums[name]}"


def _check_labels(config: PresetConfig) -> str:
    labels, dataset = config.labels, config.card.dataset
    if labels is None:
        if dataset in DATASETS and config.arguments["include_top"]:
            raise ValueError(f"none, and the card says {dataset}")
        return "none"
    if len(set(labels)) != len(labels):
        raise ValueError("a name occurs twice")
    for known in DATASETS:
        expected = load_labels(known)
        if dataset == known:
            if labels != expected:
                raise ValueError(f"not those of {known}: {_difference(labels, expected)}")
            return f"{len(labels)}, those of {known} in their order"
        if dataset not in DATASETS and sorted(labels) == sorted(expected) and labels != expected:
            raise ValueError(f"those of {known} in another order: {_difference(labels, expected)}")
    return f"{len(labels)}, as recorded; no list is shipped to compare them with"


def _difference(labels: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(labels) != len(expected):
        return f"{len(labels)} names instead of {len(expected)}"
    index = next(index for index, name in enumerate(expected) if labels[index] != name)
    return f"first at {index}, {labels[index]!r} instead of {expected[index]!r}"


def _check_logits(files: PresetFiles, config: PresetConfig, recorded: RecordedLogits) -> str:
    model = build_preset(files, config, recorded)
    ours = record_logits(model, config.labels, recorded.config_sha256, recorded.weights_sha256)
    if (ours.shape, ours.clip_sha256) != (recorded.shape, recorded.clip_sha256):
        raise ValueError("another clip was recorded: by another version of keras_tdn, or edited")
    difference = relative_difference(np.array(ours.logits), np.array(recorded.logits))
    # The tolerance is this machine's, so that a file cannot choose its own.
    found = f"relative difference {difference:.1e}, at most {ours.tolerance:.1e}"
    if len(ours.logits) > 1 and config.arguments["include_top"]:
        index = int(np.argmax(ours.logits))
        found += f"; first guess {repr(config.labels[index]) if config.labels else index}"
    if not difference <= ours.tolerance:
        raise ValueError(found)
    return found
