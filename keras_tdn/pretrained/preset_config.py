"""A preset's `config.json`: plain JSON, every entry known and checked."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.models.arguments import count_weights
from keras_tdn.specs import ClipSpec, check_field, is_positive_int

TDN_CITATION = """\
@InProceedings{Wang_2021_CVPR,
    author    = {Wang, Limin and Tong, Zhan and Ji, Bin and Wu, Gangshan},
    title     = {TDN: Temporal Difference Networks for Efficient Action Recognition},
    booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition
                 (CVPR)},
    month     = {June},
    year      = {2021},
    pages     = {1895-1904}
}
"""
# 2 added labels at the top, the card and recorded logits.
FORMAT_VERSION = 2
MODEL_CLASS = "TDNResNet"
# Kinds of a model's arguments, from the constructor's signature; the constructor checks values.
ARGUMENTS = typing.get_type_hints(TDNResNet.__init__)
for _name in ("weights", "clip_spec", "kwargs", "return"):
    del ARGUMENTS[_name]
ARGUMENTS |= {"dtype": str, "trainable": bool, "frozen_layers": Sequence[str]}
ENTRIES = ("format_version", "model", "clip_spec", "card", "labels")
# What a file has besides numbers: headers of at least fifteen arrays.
LEAST_BYTES_PER_BLOCK = 1024


def is_of(value: object, hint: Any) -> bool:
    """Whether a value is of a type hint: a class, a union, or items of one kind in a sequence."""
    kinds = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return any(is_of(value, kind) for kind in kinds)
    if kinds:
        return isinstance(value, list | tuple) and all(is_of(item, kinds[0]) for item in value)
    # Booleans are no numbers, and integers are floats.
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _fields(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _check_entries(what: str, entries: Any, expected: Iterable[str]) -> None:
    received = set(map(str, entries)) if isinstance(entries, Mapping) else None
    if received != set(expected):
        shown = repr(entries)[:80] if received is None else sorted(received)
        differing = sorted(set(expected) ^ (received or set()))
        raise ValueError(
            f"In a preset's config, {what} must have the entries {sorted(expected)}. "
            f"Received: {shown}; missing or unknown: {differing}"
        )


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Accuracy of one model on its data set's validation videos.

    Args:
        num_segments: Segments per clip.
        num_crops: Crops per clip.
        num_clips: Clips per video.
        top1: Videos whose first guess is right, in percent.
        top5: Videos with the right label among the first five guesses, in percent.
    """

    num_segments: int
    num_crops: int
    num_clips: int
    top1: float
    top5: float

    def __post_init__(self) -> None:
        for field in ("num_segments", "num_crops", "num_clips"):
            check_field(self, field, is_positive_int(getattr(self, field)), "a positive integer")
        for field in ("top1", "top5"):
            value = getattr(self, field)
            if not is_of(value, float) or not 0 <= value <= 100:
                raise ValueError(
                    f"Accuracy needs `{field}` in percent, from 0 to 100. "
                    f"Received: {field}={value!r}"
                )
            object.__setattr__(self, field, float(value))

    @property
    def views(self) -> str:
        """The paper's way to write it: segments x crops x clips, such as `"8x3x10"`."""
        return f"{self.num_segments}x{self.num_crops}x{self.num_clips}"

    def __str__(self) -> str:
        return f"{self.top1:.1f} / {self.top5:.1f} % at {self.views}"


@dataclasses.dataclass(frozen=True)
class PresetCard:
    """Where a preset's weights are from and how good they are.

    Args:
        dataset: Data set that they were trained on, by its name in `keras_tdn.labels` where it is
            one of those: `verify_preset` then compares the labels with the list shipped there.
        licence: SPDX identifier, such as `"Apache-2.0"`.
        source: URL or sentence that tells where the weights are from.
        published: Accuracy that their authors report.
        measured: Accuracy of this very preset, measured with `keras_tdn`.
        citation: BibTeX entry.
    """

    dataset: str | None = None
    licence: str | None = None
    source: str | None = None
    published: tuple[Accuracy, ...] = ()
    measured: tuple[Accuracy, ...] = ()
    citation: str | None = None

    def __post_init__(self) -> None:
        for field in ("dataset", "licence", "source", "citation"):
            value = getattr(self, field)
            is_text = value is None or (isinstance(value, str) and bool(value.strip()))
            check_field(self, field, is_text, "None or a text")
        for field in ("published", "measured"):
            values = getattr(self, field)
            check_field(self, field, is_of(values, Sequence[Accuracy]), "a tuple of `Accuracy`")
            object.__setattr__(self, field, tuple(values))

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Any) -> PresetCard:
        """Rebuilds what `to_config` wrote."""
        _check_entries("the card", config, _fields(cls))
        values = dict(config)
        for field in ("published", "measured"):
            if not isinstance(config[field], list | tuple):
                raise ValueError(
                    f"In a preset's config, the card's {field!r} must be a list. "
                    f"Received: {config[field]!r}"
                )
            for entry in config[field]:
                _check_entries(f"the {field} accuracy", entry, _fields(Accuracy))
            values[field] = tuple(Accuracy(**entry) for entry in config[field])
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class PresetConfig:
    """A model's arguments, how its clips are cut, and where it is from.

    The arguments have the dtype policy by name, and the layers that are frozen.
    """

    arguments: Mapping[str, Any]
    clip_spec: ClipSpec
    card: PresetCard = PresetCard()

    def __post_init__(self) -> None:
        _check_entries("the model's arguments", self.arguments, ARGUMENTS)
        for name, kind in ARGUMENTS.items():
            if not is_of(self.arguments[name], kind):
                raise ValueError(
                    f"A preset's config has another kind of value for the model's {name!r}. "
                    f"Received: {name}={self.arguments[name]!r}"
                )

    @property
    def labels(self) -> tuple[str, ...] | None:
        labels = self.arguments["labels"]
        return None if labels is None else tuple(labels)

    @classmethod
    def of(
        cls, model: TDNResNet, labels: tuple[str, ...] | None = None, card: PresetCard | None = None
    ) -> PresetConfig:
        """Returns the config that describes `model`, with `labels` instead of its own if given."""
        if type(model) is not TDNResNet:
            raise ValueError(
                f"A preset holds a {MODEL_CLASS}, such as TDNResNet50 builds. "
                f"Received: {type(model).__name__}"
            )
        policy = model.dtype_policy
        others = {layer.dtype_policy.name for layer in model.layers} - {policy.name, "float32"}
        if type(policy) is not keras.dtype_policies.DTypePolicy or others:
            raise ValueError(
                "A preset holds a model with one plain dtype policy, not a quantized one. "
                f"Received: dtype={policy}, and layers of {sorted(others)}"
            )
        arguments = {"frozen_layers": [], **model.get_config(), "dtype": policy.name}
        del arguments["clip_spec"]
        if labels is not None:
            arguments["labels"] = labels
        return cls(arguments, model.clip_spec, PresetCard() if card is None else card)

    @classmethod
    def of_keras(cls, config: Mapping[str, Any]) -> PresetConfig | None:
        """Converts the config that Keras keeps of a `TDNResNet`; `None` if no preset can."""
        policy = config.get("dtype")
        if isinstance(policy, Mapping):
            if policy.get("class_name") != "DTypePolicy":
                return None
            policy = policy.get("config", {}).get("name")
        if not isinstance(config.get("classifier_activation"), str | None):
            return None
        arguments = {"frozen_layers": [], **config, "dtype": policy}
        arguments.pop("clip_spec", None)
        return cls(arguments, clip_spec_in(config))

    @classmethod
    def from_json(cls, content: bytes) -> PresetConfig:
        try:
            config = json.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"A preset's config must be JSON. Received: {error}") from error
        found = config if isinstance(config, dict) else {}
        version = found.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise ValueError(
                f"This version of keras_tdn reads presets of format {FORMAT_VERSION}. For a later "
                "one upgrade keras_tdn; make an earlier one again with `keras-tdn convert` or "
                f"`save_preset`. Received: format_version={version!r}"
            )
        _check_entries("config.json", config, ENTRIES)
        model, clip_spec = config["model"], config["clip_spec"]
        _check_entries("the model", model, ("class_name", "arguments"))
        if model["class_name"] != MODEL_CLASS:
            raise ValueError(
                f"A preset's model must be a {MODEL_CLASS}. "
                f"Received: class_name={model['class_name']!r}"
            )
        _check_entries("the clip_spec", clip_spec, _fields(ClipSpec))
        _check_entries("the model's arguments", model["arguments"], set(ARGUMENTS) - {"labels"})
        arguments = {**model["arguments"], "labels": config["labels"]}
        card = PresetCard.from_config(config["card"])
        return cls(arguments, ClipSpec.from_config(clip_spec), card)

    def to_json(self) -> bytes:
        arguments = {name: self.arguments[name] for name in ARGUMENTS if name != "labels"}
        config = {
            "format_version": FORMAT_VERSION,
            "model": {"class_name": MODEL_CLASS, "arguments": arguments},
            "clip_spec": self.clip_spec.to_config(),
            "card": self.card.to_config(),
            "labels": self.arguments["labels"],
        }
        return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()

    def build(self, weights_bytes: int) -> TDNResNet:
        """Builds the model with random weights, unless it is larger than their file."""
        # A damaged number must not make a model that fills the memory. Two bytes are a number.
        depths = self.arguments["stage_depths"]
        classes = self.arguments["classes"] if self.arguments["include_top"] else None
        least = count_weights(depths, self.arguments["width"], classes)
        if max(2 * least, LEAST_BYTES_PER_BLOCK * sum(map(abs, depths))) > weights_bytes:
            raise ValueError(
                f"The config asks for {sum(depths)} bottlenecks and at least {least} numbers, and "
                f"the file of the weights has {weights_bytes} bytes: they are from different "
                "models, or damaged."
            )
        try:
            return TDNResNet.from_config({**self.arguments, "clip_spec": self.clip_spec})
        except TypeError as error:
            raise ValueError(f"A preset's config does not make a model: {error}") from error


def clip_spec_in(config: Mapping[str, Any]) -> ClipSpec:
    """Returns the clip specification in a model's config, or what follows from the arguments."""
    try:
        if config.get("clip_spec") is not None:
            return ClipSpec.from_config(config["clip_spec"])
        frames = config["num_segments"], config["frames_per_segment"]
        return ClipSpec.for_crop(*frames, *config["input_shape"][1:3])
    except (KeyError, TypeError) as error:
        raise ValueError(f"A model's config is damaged: {error!r}") from error
