"""Presets: a folder with a model's weights, config, labels and clip specification, under hashes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from keras_tdn.models import TDNResNet
from keras_tdn.pretrained.output import check_free, written_beside
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.weights_file import load_weights_file

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
SUMS_FILE = "SHA256SUMS"
FILES = (CONFIG_FILE, WEIGHTS_FILE)

# A line of `sha256sum`; "*" marks a binary file where the two kinds differ.
SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\]+)")


def save_preset(
    model: TDNResNet,
    folder: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Saves a model so that it comes back whole: weights, arguments, labels, clip specification.

    Use it for a model that others will load. The folder can be checked with `sha256sum -c`.

    Args:
        model: A `TDNResNet`.
        folder: Where to save it. It is written beside and renamed, so that it is never half there.
        labels: Class names in the order of the scores. `None` takes the model's own.
        overwrite: Whether to replace a preset that is there already.

    Returns:
        The folder.

    Raises:
        ValueError: if the model or its labels do not fit, or if the place is taken.

    Example:

    >>> model = keras_tdn.TDNResNet((1, 1, 1, 1), classes=2, labels=["jump", "run"])
    >>> keras_tdn.pretrained.save_preset(model, "my_preset")
    """
    folder = Path(folder)
    if labels is not None and (isinstance(labels, str) or len(labels) != model.classes):
        raise ValueError(
            f"`labels` needs one name for each of the {model.classes} classes. "
            f"Received: {labels if isinstance(labels, str) else len(labels)} names"
        )
    config = PresetConfig.of(model, None if labels is None else tuple(labels))
    check_replaceable(folder, overwrite)
    with written_beside(folder) as new:
        new.mkdir()
        (new / CONFIG_FILE).write_bytes(config.to_json())
        model.save_weights(new / WEIGHTS_FILE)
        sums = "".join(f"{_sha256(new / name)}  {name}\n" for name in FILES)
        (new / SUMS_FILE).write_text(sums)
    return folder


def load_preset(folder: str | os.PathLike[str]) -> TDNResNet:
    """Loads the model of a preset.

    Every file's SHA-256 is checked before any of it is interpreted, and nothing in a preset is
    run: its config can only choose a `TDNResNet`'s arguments.

    Args:
        folder: What `save_preset` wrote.

    Returns:
        The model, with its `labels` and `clip_spec`.

    Raises:
        ValueError: if the folder is no preset, or if it was changed or damaged.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> model.labels
    ('jump', 'run')
    """
    config, weights = read_preset(folder)
    model = config.build()
    load_weights_file(model, str(weights), f"the preset {str(folder)!r}")
    return model


def read_preset(folder: str | os.PathLike[str]) -> tuple[PresetConfig, Path]:
    """A preset's config and the path of its weights, after checking every hash."""
    folder = Path(folder)
    missing = [name for name in (*FILES, SUMS_FILE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"There is no preset at {str(folder)!r}: expected a folder with {', '.join(FILES)} and "
            f"{SUMS_FILE}. Missing: {', '.join(missing)}"
        )
    # Parsed from the bytes that were hashed, not from a second reading.
    config = (folder / CONFIG_FILE).read_bytes()
    for name, expected in _sums(folder).items():
        is_config = name == CONFIG_FILE
        actual = hashlib.sha256(config).hexdigest() if is_config else _sha256(folder / name)
        if actual != expected:
            raise ValueError(
                f"The preset {str(folder)!r} was changed or damaged: {name} has the SHA-256 "
                f"{actual}, and {SUMS_FILE} says {expected}. Download or copy it again."
            )
    return PresetConfig.from_json(config), folder / WEIGHTS_FILE


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raises unless `folder` is free, or is a preset and nothing else and may be replaced."""
    check_free(folder, overwrite)
    if not os.path.lexists(folder):
        return
    others = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {folder.name}
    if others - {*FILES, SUMS_FILE}:
        raise ValueError(
            f"{str(folder)!r} is not replaced, because it is more than a preset: it has "
            f"{', '.join(sorted(others - {*FILES, SUMS_FILE})[:5])}. Choose another place."
        )


def _sums(folder: Path) -> dict[str, str]:
    """File name to SHA-256; names are plain, so that no file elsewhere is read."""
    lines = (folder / SUMS_FILE).read_text(errors="replace").splitlines()
    matches = [SUM_LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match}
    unlisted = [name for name in FILES if name not in sums]
    absent = [name for name in sums if not (folder / name).is_file()]
    if None in matches or unlisted or absent:
        raise ValueError(
            f"The preset {str(folder)!r} has a {SUMS_FILE} that does not fit: expected one line "
            f"'HASH  NAME' for each file, {', '.join(FILES)} among them. Received {len(lines)} "
            f"lines; not listed: {unlisted}; listed but not there: {absent}"
        )
    return sums


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
