"""Presets: a model's weights, config, labels, clip specification and card, with hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from keras_tdn.files.atomic import check_free, sha256_of, written_beside
from keras_tdn.models import TDNResNet
from keras_tdn.models.arguments import check_labels
from keras_tdn.pretrained.preset_config import PresetCard, PresetConfig
from keras_tdn.pretrained.preset_files import (
    CONFIG_FILE,
    FILES,
    LOGITS_FILE,
    README_FILE,
    SUMS_FILE,
    WEIGHTS_FILE,
    PresetFiles,
)
from keras_tdn.pretrained.recorded_logits import RecordedLogits, hash_labels, record_logits
from keras_tdn.pretrained.weights_file import load_weights_file, write_weights_file
from keras_tdn.pretrained.weights_source import check_entry, open_preset

ORIGIN_ATTRIBUTE = "_preset_origin"
NOT_STATED = "not stated"
MAX_LABELS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class PresetOrigin:
    """What a loaded model remembers of its preset, which is not in the model itself."""

    card: PresetCard
    recorded: RecordedLogits


def save_preset(
    model: TDNResNet,
    folder: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    card: PresetCard | None = None,
    overwrite: bool = False,
) -> Path:
    """Saves a model so that it comes back whole: weights, arguments, labels, clip specification.

    Equal weights and arguments give equal files, which `sha256sum -c` can check.

    Args:
        model: A `TDNResNet`.
        folder: Where to save it. It appears in one step, complete.
        labels: Class names in the order of the scores. `None` takes the model's own.
        card: Licence, source, accuracy. `None` keeps the card of the preset that the model was
            loaded from while the weights are still those, and otherwise states nothing.
        overwrite: Whether to replace a preset that is there already.

    Returns:
        The folder.

    Raises:
        ValueError: if the model or its labels do not fit, if it computes NaN, or if the folder
            exists.

    Example:

    >>> model = keras_tdn.TDNResNet((1, 1, 1, 1), classes=2, labels=["jump", "run"])
    >>> keras_tdn.pretrained.save_preset(model, "my_preset")
    """
    folder = Path(folder)
    if labels is not None:
        check_labels(labels, model.classes)
    config = PresetConfig.of(model, None if labels is None else tuple(labels), card)
    check_replaceable(folder, overwrite)
    with written_beside(folder) as new:
        new.mkdir()
        write_weights_file(model, new / WEIGHTS_FILE)
        weights_sha256 = sha256_of(new / WEIGHTS_FILE)
        origin: PresetOrigin | None = getattr(model, ORIGIN_ATTRIBUTE, None)
        if origin is not None and origin.recorded.weights_sha256 != weights_sha256:
            origin = None
        recorded = None if origin is None else origin.recorded
        if card is None and origin and origin.recorded.labels_sha256 == hash_labels(config.labels):
            config = dataclasses.replace(config, card=origin.card)
        content = config.to_json()
        config_sha256 = hashlib.sha256(content).hexdigest()
        # Another machine rounds otherwise; the record stays while all that it tells of does.
        if recorded is None or recorded.config_sha256 != config_sha256:
            recorded = record_logits(model, config.labels, config_sha256, weights_sha256)
        (new / CONFIG_FILE).write_bytes(content)
        (new / LOGITS_FILE).write_bytes(recorded.to_json())
        (new / README_FILE).write_bytes(_format_model_card(config))
        sums = "".join(f"{sha256_of(new / name)}  {name}\n" for name in FILES)
        (new / SUMS_FILE).write_bytes(sums.encode())
    return folder


def load_preset(source: str | os.PathLike[str]) -> TDNResNet:
    """Loads the model of a preset, with its `labels` and `clip_spec`.

    Every file's SHA-256 is checked before any of it is interpreted, and nothing in a preset is
    run: its config can only choose a `TDNResNet`'s arguments.

    Args:
        source: A folder that `save_preset` wrote; `"hf://organisation/name[@revision]"` for a
            repository of the Hugging Face Hub; or a name of the catalog, such as
            `"tdn_resnet50_8_kinetics400"`.

    Raises:
        ValueError: if there is no such preset, or if it was changed or damaged.
        OSError: if it could not be downloaded.

    Example:

    >>> keras_tdn.pretrained.load_preset("my_preset").labels
    ('jump', 'run')
    """
    files = open_preset(source)
    return build_preset(files, *read_preset(files))


def read_preset(files: PresetFiles) -> tuple[PresetConfig, RecordedLogits]:
    """Reads a preset's config and recorded logits, and checks that they belong together."""
    content = files.text(CONFIG_FILE)
    recorded = RecordedLogits.from_json(files.text(LOGITS_FILE))
    config = PresetConfig.from_json(content)
    edited = f"other labels ({CONFIG_FILE} was reordered or edited afterwards)"
    for recorded_sha256, actual_sha256, differing in (
        (recorded.labels_sha256, hash_labels(config.labels), edited),
        (recorded.config_sha256, hashlib.sha256(content).hexdigest(), f"another {CONFIG_FILE}"),
        (recorded.weights_sha256, files.sums[WEIGHTS_FILE], "other weights"),
    ):
        if recorded_sha256 != actual_sha256:
            raise ValueError(
                f"{files.title} has {differing} than its logits were recorded with. Do not trust "
                "its scores: download or copy it again, or, if the change is yours, make it in "
                "Python with `save_preset`, which records anew."
            )
    if files.entry is not None:
        check_entry(files.entry, config, files.title)
    return config, recorded


def build_preset(files: PresetFiles, config: PresetConfig, recorded: RecordedLogits) -> TDNResNet:
    """Builds the model of a preset that was read, with its weights."""
    weights = files.path(WEIGHTS_FILE)
    model = config.build(weights.stat().st_size)
    load_weights_file(model, str(weights), files.origin)
    setattr(model, ORIGIN_ATTRIBUTE, PresetOrigin(config.card, recorded))
    return model


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raises unless `folder` is free, or is a preset and nothing else and may be replaced."""
    check_free(folder, overwrite)
    if not os.path.lexists(folder):
        return
    entries = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {folder.name}
    if others := sorted(entries - {*FILES, SUMS_FILE}):
        raise ValueError(
            f"{str(folder)!r} is not replaced, because it is more than a preset: it has "
            f"{', '.join(others[:5])}. Choose another place."
        )


def _format_model_card(config: PresetConfig) -> bytes:
    """Returns a preset's `README.md`: metadata that the Hub reads, and a page for people."""
    arguments, card = config.arguments, config.card
    # JSON strings are YAML strings, whatever a card has in them.
    licence = f"license: {json.dumps(card.licence.lower())}\n" if card.licence else ""
    dataset = f"datasets: [{json.dumps(card.dataset)}]\n" if card.dataset else ""
    template = Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    page = template.format(
        metadata=licence + dataset,
        name=arguments["name"],
        depths=tuple(arguments["stage_depths"]),
        spec=config.clip_spec,
        classes=_shown_classes(config),
        dataset=card.dataset or NOT_STATED,
        licence=card.licence or NOT_STATED,
        source=card.source or NOT_STATED,
        published="; ".join(map(str, card.published)) or NOT_STATED,
        measured="; ".join(map(str, card.measured)) or NOT_STATED,
    )
    if card.citation:
        page += f"\n```bibtex\n{card.citation.strip()}\n```\n"
    return page.encode()


def _shown_classes(config: PresetConfig) -> str:
    labels = config.labels
    if not config.arguments["include_top"]:
        return "none: features"
    if labels is None:
        return f"{config.arguments['classes']}, without names"
    shown = ", ".join(labels[:MAX_LABELS_SHOWN]).replace("|", "\\|").replace("\n", " ")
    return f"{len(labels)}: {shown}{', ...' if len(labels) > MAX_LABELS_SHOWN else ''}"
