"""The `weights` argument of the models: what each form means, and filling the model from it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tdn.choices import MODEL_SUFFIX, WEIGHTS_SUFFIX
from keras_tdn.pretrained.catalog import (
    CATALOG,
    CLASSES,
    CatalogEntry,
    entries_for,
    entry_by_name,
    not_hosted,
    shipped_preset,
)
from keras_tdn.pretrained.model_file import REGISTERED_NAME, read_model_file
from keras_tdn.pretrained.preset_config import clip_spec_in
from keras_tdn.pretrained.preset_files import MAX_TEXT_BYTES
from keras_tdn.pretrained.transfer import (
    Source,
    check_source,
    fill,
    source_of_weights_file,
)

if TYPE_CHECKING:
    from keras_tdn.models import TDNResNet
    from keras_tdn.pretrained.preset_files import PresetFiles

IMAGENET = "imagenet"
DATASETS = tuple(CLASSES)
IMAGENET_SUFFIXES = (".safetensors", ".h5", ".hdf5")
FILE_SUFFIXES = (WEIGHTS_SUFFIX, MODEL_SUFFIX, *IMAGENET_SUFFIXES)

ACCEPTED = (
    f"None; {IMAGENET!r}; a data set, {', '.join(map(repr, DATASETS))}; a preset of this model as "
    f"a folder or as 'hf://organisation/name[@revision]'; a {WEIGHTS_SUFFIX} or {MODEL_SUFFIX} "
    "file of this model; a .safetensors or .h5 file of a ResNet trained on ImageNet"
)
__all__ = ["DATASETS", "load_weights", "not_hosted"]


def load_weights(model: TDNResNet, weights: str | os.PathLike[str]) -> None:
    """Fills a model as its `weights` argument says.

    Args:
        model: A built model.
        weights: See `TDNResNet`.

    Raises:
        ValueError: if there are no such weights or they do not fit the model, which is unchanged
            then.
        OSError: if they could not be downloaded.
    """
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"`weights` must be one of: {ACCEPTED}. Received: weights={weights!r}")
    name = os.fspath(weights)
    if name == IMAGENET:
        from keras_tdn.pretrained.imagenet import load_imagenet

        load_imagenet(model)
    elif name in DATASETS:
        from keras_tdn.pretrained.preset_source import open_entry

        _fill_from_preset(model, open_entry(_published(model, name), name))
    elif name.startswith("hf://") or os.path.isdir(name) or _is_preset_name(name):
        from keras_tdn.pretrained.preset_source import open_preset

        _fill_from_preset(model, open_preset(name))
    elif not os.path.isfile(name):
        raise ValueError(
            f"There are no weights {name!r}, and no such file or folder. `weights` must be one of: "
            f"{ACCEPTED}."
        )
    elif not name.endswith(FILE_SUFFIXES):
        raise ValueError(
            f"`weights` must be one of: {ACCEPTED}. A checkpoint of the authors' is converted "
            f"first: keras-tdn convert {Path(name).name} my_preset. Received: weights={name!r}"
        )
    else:
        _fill_from_file(model, name)


def _is_preset_name(name: str) -> bool:
    return entry_by_name(name) is not None or shipped_preset(name) is not None


def _published(model: TDNResNet, dataset: str) -> CatalogEntry:
    """The published model of a data set that is nearest to `model`."""
    entries = entries_for(dataset, model.stage_depths) if model.width == 64 else ()
    if not entries:
        known = sorted({entry.constructor for entry in CATALOG if entry.dataset == dataset})
        raise ValueError(
            f"Weights for {dataset!r} are published for {' and '.join(known)}. Received a model "
            f"with stage_depths={model.stage_depths}, width={model.width}: build one of those, or "
            "pass weights='imagenet' or a preset of this architecture."
        )
    return min(entries, key=lambda entry: abs(entry.num_segments - model.num_segments))


def _fill_from_preset(model: TDNResNet, files: PresetFiles) -> None:
    from keras_tdn.pretrained.preset_files import WEIGHTS_FILE
    from keras_tdn.pretrained.presets import read_preset

    config, _ = read_preset(files)
    source = Source(files.origin, config.arguments, config.clip_spec, config.card)
    # Before the download of what would not fit.
    check_source(model, source)
    fill(model, source, files.path(WEIGHTS_FILE), free_head=True)


def _fill_from_file(model: TDNResNet, path: str) -> None:
    _check_beside(path)
    if path.endswith(WEIGHTS_SUFFIX):
        # Another number of classes is more likely a mistake here: such a file is a checkpoint.
        fill(model, source_of_weights_file(path), path, free_head=False)
    elif path.endswith(MODEL_SUFFIX):
        _fill_from_model_file(model, path)
    else:
        from keras_tdn.pretrained.imagenet import load_imagenet

        load_imagenet(model, path)


def _check_beside(path: str) -> None:
    """Checks a file against a `SHA256SUMS` that lies beside it and lists it."""
    sums = Path(path).parent / "SHA256SUMS"
    if not sums.is_file():
        return
    if sums.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            f"{str(sums)!r} is no list of hashes: it is larger than 16 MiB. Remove it."
        )
    lines = sums.read_text("utf-8", errors="replace").splitlines()
    expected = [line.split()[0] for line in lines if line[66:] == Path(path).name]
    if not expected:
        return
    with open(path, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual not in expected:
        raise ValueError(
            f"{path!r} was changed or damaged: its SHA-256 is {actual}, and SHA256SUMS beside it "
            f"says {expected[0]}. Copy or download it again."
        )


def _fill_from_model_file(model: TDNResNet, path: str) -> None:
    """Takes the weights out of a `.keras` file, without building the objects that it describes."""
    file = read_model_file(path)
    if not file.is_tdn:
        raise ValueError(
            f"{path!r} holds another model. Expected one of class {REGISTERED_NAME!r}. "
            f"Received: {file.registered_name!r}"
        )
    source = Source(repr(path), file.config, clip_spec_in(file.config))
    fill(model, source, file.weights, free_head=True)
