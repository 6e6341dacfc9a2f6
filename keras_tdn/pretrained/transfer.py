"""Filling a model from weights of a model that may differ: what must be equal, what may not be.

The rules are those of `keras.applications`, said out loud: another number of classes gives a new
classifier, `include_top=False` none, and everything else is loaded or nothing is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.models.clips import warn_of_assumed_clips
from keras_tdn.models.tdn_resnet import (
    EQUAL_WEIGHT_SEGMENTS,
    EQUAL_WEIGHTS,
    OTHER_WEIGHTS,
    TDNResNet,
)
from keras_tdn.pretrained.card import NO_CARD, PresetCard
from keras_tdn.pretrained.weights_file import load_weights_file, read_description
from keras_tdn.specs import ClipSpec

FUSION_WEIGHTS = ("appearance_weight", "motion_weight")
FUSIONS = ("stem_fusion", "stage1_fusion")
# What decides which weights there are. No weight depends on the number of segments or on a size.
ARCHITECTURE = (
    "stage_depths",
    "width",
    "short_term",
    "long_term",
    "temporal_shift",
    "frames_per_segment",
)
ACTIVATIONS = (None, "softmax")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where weights are from, and what is known about the model that they were saved from.

    Args:
        origin: What to call it in messages.
        config: The model's arguments; `None` if nothing is known but the weights.
        clip_spec: How its clips were cut, if known.
        card: Its accuracy, if known.
    """

    origin: str
    config: Mapping[str, Any] | None = None
    clip_spec: ClipSpec | None = None
    card: PresetCard = NO_CARD

    @property
    def fusion_weights(self) -> dict[str, float]:
        """Factors of appearance and motion, with defaults spelled out."""
        config = self.config or {}
        equal = config.get("num_segments") == EQUAL_WEIGHT_SEGMENTS
        defaults = EQUAL_WEIGHTS if equal else OTHER_WEIGHTS
        return {
            name: default if config.get(name) is None else config[name]
            for name, default in zip(FUSION_WEIGHTS, defaults, strict=True)
        }


def check_source(model: TDNResNet, source: Source) -> None:
    """Raises unless the weights of `source` can be those of `model`."""
    if source.config is None:
        return
    ours, theirs = _architecture(model.get_config()), _architecture(source.config)
    differing = [name for name in ARCHITECTURE if ours[name] != theirs[name]]
    if differing:
        told = "; ".join(
            f"{name} is {theirs[name]!r} there and {ours[name]!r} in the model"
            for name in differing
        )
        fix = ", ".join(f"{name}={theirs[name]!r}" for name in differing)
        raise ValueError(
            f"The weights of {source.origin} belong to another model: {told}. Build the model with "
            f"{fix}."
        )
    activation = model.get_config()["classifier_activation"]
    allowed = (*ACTIVATIONS, source.config.get("classifier_activation"))
    if model.include_top and activation not in allowed:
        raise ValueError(
            f"With pretrained weights `classifier_activation` must be 'softmax', as in training, "
            f"or None for logits. Received: classifier_activation={activation!r} with the weights "
            f"of {source.origin}. For another activation take include_top=False, pooling='avg' and "
            "put a layer of your own behind it."
        )


def fill(
    model: Any,
    source: Source,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    free_head: bool,
) -> None:
    """Fills `model` from a Keras weights file, and warns of whatever is not as in `source`.

    Args:
        model: A built model. One that is no `TDNResNet` takes the weights and nothing else.
        source: Where the file is from.
        file: The file.
        free_head: Whether another number of classes gets a new classifier. Without a classifier of
            its own, a model takes the rest in any case.

    Raises:
        ValueError: if the weights do not fit the model, which is unchanged then.
    """
    if not isinstance(model, TDNResNet):
        load_weights_file(model, file, source.origin)
        return
    check_source(model, source)
    free_head = free_head or not model.include_top
    new_head = load_weights_file(model, file, source.origin, free_head=free_head)
    adopt(model, source, new_head)


def adopt(model: TDNResNet, source: Source, new_head: tuple[str, ...] = ()) -> None:
    """Takes over what is known besides the weights, and warns of whatever is not as in `source`.

    Labels, clip specification and the factors of the paths are taken unless the model has its own.

    Args:
        model: A model that has the weights of `source`.
        source: Where they are from.
        new_head: Variables of the classifier that they were not loaded into.
    """
    notes = [*_head_notes(model, source, new_head)]
    if source.config is not None:
        notes += _fusion_notes(model, source)
        notes += _clip_notes(model, source)
    if source.config is not None and not new_head:
        _take_labels(model, source.config.get("labels"))
    if not _has_clip_spec(model):
        if source.clip_spec is None:
            warn_of_assumed_clips(model, f"The file of weights {source.origin}")
        else:
            _take_clip_spec(model, source.clip_spec)
    if notes:
        published = "; ".join(map(str, source.card.published))
        told = f" Published: {published}." if published else ""
        warnings.warn(f"Weights of {source.origin}: {' '.join(notes)}{told}", stacklevel=2)


def source_of_weights_file(path: str | os.PathLike[str]) -> Source:
    """What a `.weights.h5` file says about the model that it was saved from.

    Raises:
        ValueError: if the file is damaged or is not such a file.
    """
    origin = repr(os.fspath(path))
    config = read_description(path, origin)
    if config is None:
        return Source(origin)
    return Source(origin, config.arguments, config.clip_spec)


@contextlib.contextmanager
def adopting(model: TDNResNet, path: Any) -> Iterator[None]:
    """Within the block, Keras loads a file; what a `.weights.h5` file says is adopted as well."""
    if not str(path).endswith(WEIGHTS_SUFFIX) or not os.path.isfile(path):
        yield
        return
    source = source_of_weights_file(path)
    yield
    adopt(model, source)


def _head_notes(model: TDNResNet, source: Source, new_head: tuple[str, ...]) -> Iterator[str]:
    config = source.config or {}
    if new_head:
        keep = ""
        if config.get("include_top"):
            keep = f" (they have {config['classes']} classes, the model {model.classes})"
        yield (
            f"the classifier is new and random{keep}. Not loaded: {', '.join(new_head)}; "
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


def _fusion_notes(model: TDNResNet, source: Source) -> Iterator[str]:
    config = source.config or {}
    if config.get("num_segments") != model.num_segments:
        yield (
            f"trained with num_segments={config.get('num_segments')}, the model has "
            f"{model.num_segments}; accuracy will differ."
        )
    if not model.short_term:
        return
    values = source.fusion_weights
    for name, value in values.items():
        given = getattr(model, name)
        if given is None:
            # Spelled out in the model's config, where the default would follow its segments.
            if _default_fusion(model)[name] != value:
                setattr(model, name, value)
                for layer in FUSIONS:
                    setattr(model.get_layer(layer), name, value)
        elif given != value:
            yield f"trained with {name}={value}, the model was given {given}."


def _clip_notes(model: TDNResNet, source: Source) -> Iterator[str]:
    spec = source.clip_spec
    if spec is None:
        return
    if not _fits(model, spec):
        yield (
            f"trained with crops of {spec.height}x{spec.width} pixels, the model takes "
            f"{model.input_shape[2]}x{model.input_shape[3]}."
        )
    elif _has_clip_spec(model) and model.clip_spec.normalization != spec.normalization:
        yield (
            f"trained with {spec.normalization}, the model was given "
            f"{model.clip_spec.normalization}."
        )


def _take_labels(model: TDNResNet, labels: Any) -> None:
    if model.include_top and model.labels is None and labels is not None:
        model.labels = tuple(map(str, labels))


def _take_clip_spec(model: TDNResNet, spec: ClipSpec) -> None:
    if _fits(model, spec):
        model.clip_spec = dataclasses.replace(spec, num_segments=model.num_segments)
    else:
        model.clip_spec = dataclasses.replace(model.clip_spec, normalization=spec.normalization)


def _has_clip_spec(model: TDNResNet) -> bool:
    """Whether it was given, and does not follow from the other arguments."""
    return model.get_config().get("clip_spec") is not None


def _fits(model: TDNResNet, spec: ClipSpec) -> bool:
    sizes = zip(model.input_shape[2:4], (spec.height, spec.width), strict=True)
    return all(size in (None, given) for size, given in sizes)


def _default_fusion(model: TDNResNet) -> dict[str, float]:
    return Source("", {"num_segments": model.num_segments}).fusion_weights


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: config.get(name) for name in ARCHITECTURE}
    depths = values["stage_depths"]
    values["stage_depths"] = tuple(depths) if isinstance(depths, (list, tuple)) else depths
    return values
