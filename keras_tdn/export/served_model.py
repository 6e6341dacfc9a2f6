"""The model that is exported, its labels, and the manifest that tells a client about both."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_tdn.files.atomic import sha256_of
from keras_tdn.inference.folding import check_not_quantized
from keras_tdn.models import TDNResNet
from keras_tdn.models.arguments import check_labels
from keras_tdn.prediction import _check_top
from keras_tdn.pretrained import save_preset
from keras_tdn.pretrained.preset_files import WEIGHTS_FILE
from keras_tdn.pretrained.presets import ORIGIN_ATTRIBUTE
from keras_tdn.pretrained.recorded_logits import hash_labels
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.processes import run_command
from keras_tdn.version import __version__

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """A classifier, names for its classes, and how many an answer has: with fewer classes, all."""

    model: TDNResNet
    labels: tuple[str, ...]
    top: int

    @classmethod
    def of(cls, model: Any, labels: Sequence[str] | None, top: int) -> ServedModel:
        """Checks a model and its labels; those that are passed replace the model's own."""
        if not isinstance(model, TDNResNet):
            raise ValueError(
                "An export takes a TDNResNet, such as load_preset gives and TDNResNet50 builds. "
                f"Received: {type(model).__name__}"
            )
        if not model.include_top:
            raise ValueError(
                "A model without its classifier has no scores to answer with. Build it with "
                "include_top=True; the export has a signature for features as well."
            )
        check_not_quantized(model)
        names = model.labels if labels is None else labels
        if names is None:
            raise ValueError(
                "A served model answers with labels, and this one has none. Pass `labels` with one "
                f"name for each of its {model.classes} classes (on the command line --labels)."
            )
        check_labels(names, model.classes, str)
        return cls(model, tuple(names), min(_check_top(top), model.classes))


def write_manifest(served: ServedModel, dtype: str, folder: Path) -> tuple[Path, Path]:
    """Writes the manifest of `describe_export`, and the labels, one a line."""
    manifest, labels = folder / "keras_tdn.json", folder / "labels.txt"
    content = json.dumps(describe_export(served, dtype), indent=2, ensure_ascii=False)
    manifest.write_text(content + "\n", encoding="utf-8")
    # A line break inside a name would make two of it; the manifest has the names as they are.
    lines = (" ".join(label.splitlines()) for label in served.labels)
    labels.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return manifest, labels


def describe_export(served: ServedModel, dtype: str) -> dict[str, Any]:
    """Returns the manifest as JSON holds it."""
    # The weights' hash is that of the `model.weights.h5` in a preset of this model. The card and
    # the preset's config are left out once the weights are no longer those of the preset.
    model = served.model
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / WEIGHTS_FILE
        write_weights_file(model, file)
        weights_sha256 = sha256_of(file)
    origin = getattr(model, ORIGIN_ATTRIBUTE, None)
    if origin is not None and origin.recorded.weights_sha256 != weights_sha256:
        origin = None
    return {
        "format_version": FORMAT_VERSION,
        "keras_tdn": __version__,
        "model": model.name,
        "dtype": dtype,
        "clip_spec": model.clip_spec.to_config(),
        "top": served.top,
        "labels": list(served.labels),
        "labels_sha256": hash_labels(served.labels),
        "weights_sha256": weights_sha256,
        "preset_config_sha256": None if origin is None else origin.recorded.config_sha256,
        "card": None if origin is None else origin.card.to_config(),
    }


def export_in_tensorflow(
    served: ServedModel, format: str, path: Path, dtype: str, *options: str
) -> Path:
    """Runs `keras-tdn export` on TensorFlow in a process of its own, which a preset goes to."""
    with tempfile.TemporaryDirectory() as folder:
        preset = Path(folder) / "preset"
        save_preset(served.model, preset, labels=served.labels)
        arguments = ["--weights", str(preset), "--top", str(served.top), "--format", format]
        arguments += ["--output", str(path), "--dtype", dtype, *options]
        # This process may hold all of a GPU's memory, and writing needs none.
        environment = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        result = run_command(["export", *arguments], **environment)
    if result.returncode == 0:
        return path
    reason = _reason(result.stderr) or f"exit status {result.returncode}"
    raise ValueError(
        f"Keras runs on {keras.backend.backend()} here, and exports are written by TensorFlow, in "
        f"a process that was started with KERAS_BACKEND=tensorflow. It failed: {reason}"
    )


def _reason(stderr: str) -> str:
    """Returns the message of the command's error, or else the last line."""
    stderr = stderr.strip()
    _, told, message = stderr.rpartition("keras-tdn: error: ")
    if not told:
        return stderr.rpartition("\n")[2]
    first, newline, more = message.partition("\n")
    # The command indents what follows.
    return first + newline + textwrap.dedent(more)
