"""The manifest of an export: labels, clip specification, hashes, card."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from keras_tdn.export.served_model import ServedModel
from keras_tdn.pretrained.preset_files import WEIGHTS_FILE, sha256_of
from keras_tdn.pretrained.presets import ORIGIN_ATTRIBUTE
from keras_tdn.pretrained.recorded_logits import hash_labels
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.version import __version__

FORMAT_VERSION = 1
MANIFEST_FILE = "keras_tdn.json"
LABELS_FILE = "labels.txt"


def write_manifest(description: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Writes the manifest and the labels, one a line.

    Args:
        description: From `describe_export`.
        folder: Where to write them.

    Returns:
        Paths of both.
    """
    manifest, labels = folder / MANIFEST_FILE, folder / LABELS_FILE
    content = json.dumps(description, indent=2, ensure_ascii=False)
    manifest.write_text(content + "\n", encoding="utf-8")
    # A line break inside a name would make two of it; the manifest has the names as they are.
    lines = (" ".join(label.splitlines()) for label in description["labels"])
    labels.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return manifest, labels


def describe_export(served: ServedModel, dtype: str) -> dict[str, Any]:
    """Returns the manifest as JSON holds it.

    The weights' hash is that of the `model.weights.h5` in a preset of this model. The card and the
    preset's config are left out once the weights are no longer those of the preset.
    """
    model = served.model
    weights_sha256 = _weights_sha256(model)
    origin = getattr(model, ORIGIN_ATTRIBUTE, None)
    if origin is not None and origin.recorded.weights_sha256 != weights_sha256:
        origin = None
    return {
        "format_version": FORMAT_VERSION,
        "keras_tdn": __version__,
        "model": model.name,
        "dtype": dtype,
        "clip_spec": served.clip_spec.to_config(),
        "top": served.top,
        "labels": list(served.labels),
        "labels_sha256": hash_labels(served.labels),
        "weights_sha256": weights_sha256,
        "preset_config_sha256": None if origin is None else origin.recorded.config_sha256,
        "card": None if origin is None else origin.card.to_config(),
    }


def _weights_sha256(model: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / WEIGHTS_FILE
        write_weights_file(model, file)
        return sha256_of(file)
