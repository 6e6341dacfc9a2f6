"""Filling a model as its `weights` argument says, from weights of a model that may differ.

Another number of classes gives a new classifier, `include_top=False` none, as in
`keras.applications`; everything else is loaded or nothing is.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_tdn.choices import MODEL_SUFFIX, WEIGHTS_SUFFIX
from keras_tdn.models.arguments import fits
from keras_tdn.models.predicting import warn_of_assumed_clips
from keras_tdn.models.tdn_resnet import TDNResNet, fusion_weights
from keras_tdn.pretrained import weights_file
from keras_tdn.pretrained.catalog import CATALOG, CatalogEntry
from keras_tdn.pretrained.hdf5 import Hdf5Source
from keras_tdn.pretrained.preset_config import Accuracy, PresetConfig, clip_spec_in
from keras_tdn.pretrained.preset_files import WEIGHTS_FILE, check_listed, open_folder
from keras_tdn.pretrained.presets import load_preset, read_preset
from keras_tdn.pretrained.weights_source import (
    SWITCHES,
    WIDTH,
    WeightsKind,
    open_entry,
    preset_folder_of,
    resolve_weights,
)
from keras_tdn.specs import ClipSpec

FUSION_WEIGHTS = ("appearance_weight", "motion_weight")
# What decides which weights there are. No weight depends on the number of segments or on a size.
ARCHITECTURE = ("stage_depths", "width", *SWITCHES, "frames_per_segment")


@dataclasses.dataclass(frozen=True)
class WeightsOrigin:
    """Where weights are from, and what is known about the model they were saved from."""

    origin: str
    config: Mapping[str, Any] | None = None
    clip_spec: ClipSpec | None = None
    published: tuple[Accuracy, ...] = ()


def load_weights(model: TDNResNet, weights: str | os.PathLike[str] | None) -> None:
    """Fills a built model as its `weights` argument says, or raises and leaves it unchanged."""
    if (found := resolve_weights(weights)) is None:
        return
    if found.kind in (WeightsKind.PRESET, WeightsKind.DATASET):
        if found.kind is WeightsKind.PRESET:
            files = found.open_preset()
        else:
            files = open_entry(_published(model, found.name), found.name)
        config, _ = read_preset(files)
        published = config.card.published
        source = WeightsOrigin(files.origin, config.arguments, config.clip_spec, published)
        # Before the download of what would not fit.
        check_source(model, source)
        fill(model, source, files.path(WEIGHTS_FILE), free_head=True)
        return
    if found.kind is not WeightsKind.IMAGENET:
        check_listed(found.location)
    if found.kind is WeightsKind.WEIGHTS_FILE:
        # Another number of classes is more likely a mistake here: such a file is a checkpoint.
        fill(model, origin_of_weights_file(found.location), found.location, free_head=False)
    elif found.kind is WeightsKind.MODEL_FILE:
        # The objects that the file describes are not built.
        file = weights_file.read_model_file(found.location)
        if not file.is_tdn:
            raise ValueError(
                f"{found.name!r} holds another model. Expected one of class "
                f"{weights_file.REGISTERED_NAME!r}. Received: {file.registered_name!r}"
            )
        spec = clip_spec_in(file.config) if "clip_spec" in file.config else None
        source = WeightsOrigin(repr(found.name), file.config, spec)
        fill(model, source, file.weights, free_head=True)
    else:
        from keras_tdn.pretrained.imagenet import load_imagenet

        load_imagenet(model, None if found.kind is WeightsKind.IMAGENET else found.location)


def load_model(weights: str | os.PathLike[str]) -> keras.Model:
    """Loads the model of a preset, a `.keras` file, or a `.weights.h5` file that describes it."""
    if (found := resolve_weights(weights)) is not None:
        if found.kind is WeightsKind.MODEL_FILE:
            return weights_file.load_model_file(found.location)
        if found.kind in (WeightsKind.PRESET, WeightsKind.DATASET):
            return load_preset(weights)
        if found.kind is WeightsKind.WEIGHTS_FILE:
            model = weights_file.load_described_weights(found.location)
            if model is not None:
                return model
    raise ValueError(
        f"{weights!r} does not say what model it is for. Pass a preset, a {MODEL_SUFFIX} file, or "
        f"a {WEIGHTS_SUFFIX} file that keras_tdn has written."
    )


def read_config(weights: str | os.PathLike[str] | None) -> PresetConfig | None:
    """Returns what weights say about the model that they come with; `None` if nothing."""
    if (found := resolve_weights(weights)) is None:
        return None
    if found.kind is WeightsKind.PRESET:
        return read_preset(found.open_preset())[0]
    if found.kind is WeightsKind.WEIGHTS_FILE:
        return weights_file.read_description(found.location, repr(found.name))
    if found.kind is WeightsKind.MODEL_FILE:
        file = weights_file.read_model_file(found.location)
        return PresetConfig.of_keras(file.config) if file.is_tdn else None
    return None


def check_source(model: TDNResNet, source: WeightsOrigin) -> None:
    """Raises unless the weights of `source` can be those of `model`."""
    if source.config is None:
        return
    theirs = {name: source.config.get(name) for name in ARCHITECTURE}
    if isinstance(theirs["stage_depths"], list):
        theirs["stage_depths"] = tuple(theirs["stage_depths"])
    ours = {name: getattr(model, name) for name in ARCHITECTURE}
    if differing := [name for name in ARCHITECTURE if ours[name] != theirs[name]]:
        told = "; ".join(
            f"{name} is {theirs[name]!r} there and {ours[name]!r} in the model"
            for name in differing
        )
        fix = ", ".join(f"{name}={theirs[name]!r}" for name in differing)
        raise ValueError(
            f"The weights of {source.origin} belong to another model: {told}. Build the model with "
            f"{fix}."
        )
    activation = model.classifier_activation
    allowed = (None, "softmax", source.config.get("classifier_activation"))
    if model.include_top and activation not in allowed:
        raise ValueError(
            f"With pretrained weights `classifier_activation` must be 'softmax', as in training, "
            f"or None for logits. Received: classifier_activation={activation!r} with the weights "
            f"of {source.origin}. For another activation take include_top=False, pooling='avg' and "
            "put a layer of your own behind it."
        )


def fill(model: Any, source: WeightsOrigin, file: Hdf5Source, *, free_head: bool) -> None:
    """Fills a built model from a weights file, and warns about all that differs from `source`.

    A model that is no `TDNResNet` takes the weights alone. With `free_head` another number of
    classes gets a new classifier. A `ValueError` leaves the model unchanged.
    """
    if not isinstance(model, TDNResNet):
        weights_file.load_weights_file(model, file, source.origin)
        return
    check_source(model, source)
    free_head = free_head or not model.include_top
    new_head = weights_file.load_weights_file(model, file, source.origin, free_head=free_head)
    adopt(model, source, new_head)


def adopt(model: TDNResNet, source: WeightsOrigin, new_head: tuple[str, ...] = ()) -> None:
    """Takes over labels, clip specification and factors that a model lacks; warns of differences.

    `new_head` names variables of the classifier that were not loaded.
    """
    notes = [*_head_notes(model, source, new_head)]
    has_clip_spec = model.get_config().get("clip_spec") is not None
    spec = source.clip_spec
    if source.config is not None:
        notes += _fusion_notes(model, source.config)
        notes += [] if spec is None else _clip_notes(model, spec, has_clip_spec)
        labels = source.config.get("labels")
        if not new_head and model.include_top and model.labels is None and labels is not None:
            model.labels = tuple(map(str, labels))
    if not has_clip_spec:
        if spec is None:
            warn_of_assumed_clips(model, f"The file of weights {source.origin}")
        elif _fits(model, spec):
            model.clip_spec = dataclasses.replace(spec, num_segments=model.num_segments)
        else:
            model.clip_spec = dataclasses.replace(model.clip_spec, normalization=spec.normalization)
    if notes:
        published = "; ".join(map(str, source.published))
        told = f" Published: {published}." if published else ""
        warnings.warn(f"Weights of {source.origin}: {' '.join(notes)}{told}", stacklevel=2)


def origin_of_weights_file(path: str | os.PathLike[str]) -> WeightsOrigin:
    """Returns what a `.weights.h5` file says about the model that it was saved from."""
    origin = repr(os.fspath(path))
    config = weights_file.read_description(path, origin)
    folder = preset_folder_of(path)
    if config is None and folder is not None:
        config = read_preset(open_folder(folder))[0]
    if config is None:
        return WeightsOrigin(origin)
    return WeightsOrigin(origin, config.arguments, config.clip_spec)


def _head_notes(model: TDNResNet, source: WeightsOrigin, new: tuple[str, ...]) -> Iterator[str]:
    config = source.config or {}
    if new:
        told = ""
        if config.get("include_top"):
            told = f" (they have {config['classes']} classes, the model {model.classes})"
        yield (
            f"the classifier is new and random{told}. Not loaded: {', '.join(new)}; "
            "everything else was. Train it, or build the model with the classes of the weights, or "
            "with include_top=False."
        )
        return
    labels = config.get("labels")
    if model.include_top and model.labels and labels and list(model.labels) != list(labels):
        index = next(i for i, name in enumerate(labels) if model.labels[i] != name)
        yield (
            f"the labels given are not those that the classifier was trained with, first at "
            f"{index}: {model.labels[index]!r}, there {labels[index]!r}. Its scores stay in the "
            "order of the latter."
        )


def _fusion_notes(model: TDNResNet, config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("num_segments") != model.num_segments:
        yield (
            f"trained with num_segments={config.get('num_segments')}, the model has "
            f"{model.num_segments}; accuracy will differ."
        )
    if (motion := model.structure.motion) is None:
        return
    values = fusion_weights(config.get("num_segments"), *map(config.get, FUSION_WEIGHTS))
    defaults = fusion_weights(model.num_segments)
    for name, value, default in zip(FUSION_WEIGHTS, values, defaults, strict=True):
        if (given := getattr(model, name)) is not None:
            if given != value:
                yield f"trained with {name}={value}, the model was given {given}."
        elif default != value:
            # Spelled out in the model's config, where the default would follow its segments.
            for owner in (model, motion.stem_fusion, motion.stage_fusion):
                setattr(owner, name, value)


def _clip_notes(model: TDNResNet, spec: ClipSpec, has_clip_spec: bool) -> Iterator[str]:
    if not _fits(model, spec):
        yield (
            f"trained with crops of {spec.height}x{spec.width} pixels, the model takes "
            f"{model.input_shape[2]}x{model.input_shape[3]}."
        )
    elif has_clip_spec and model.clip_spec.normalization != spec.normalization:
        yield (
            f"trained with {spec.normalization}, the model was given "
            f"{model.clip_spec.normalization}."
        )


def _fits(model: TDNResNet, spec: ClipSpec) -> bool:
    return fits(model.input_shape[2:4], (spec.height, spec.width))


def _published(model: TDNResNet, dataset: str) -> CatalogEntry:
    """Returns the published model of a data set that is nearest to `model`."""
    of_dataset = [entry for entry in CATALOG if entry.dataset == dataset]
    entries = [entry for entry in of_dataset if entry.stage_depths == model.stage_depths]
    if not entries or model.width != WIDTH:
        known = sorted({entry.constructor for entry in of_dataset})
        raise ValueError(
            f"Weights for {dataset!r} are published for {' and '.join(known)}. Received a model "
            f"with stage_depths={model.stage_depths}, width={model.width}: build one of those, or "
            "pass weights='imagenet' or a preset of this architecture."
        )
    return min(entries, key=lambda entry: abs(entry.num_segments - model.num_segments))
