"""A preset's `config.json`: plain JSON, every entry known and checked."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.specs import ClipSpec

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
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Accuracy needs a positive integer for `{field}`. Received: {field}={value!r}"
                )
        for field in ("top1", "top5"):
            value = getattr(self, field)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0 <= value <= 100:
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
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise ValueError(
                    f"PresetCard needs a text for `{field}`, or None. Received: {field}={value!r}"
                )
        for field in ("published", "measured"):
            values = getattr(self, field)
            if not isinstance(values, (list, tuple)) or not all(
                isinstance(value, Accuracy) for value in values
            ):
                raise ValueError(
                    f"PresetCard needs a tuple of `Accuracy` for `{field}`. "
                    f"Received: {field}={values!r}"
                )
            object.__setattr__(self, field, tuple(values))

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        config = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in config.items()}

    @classmethod
    def from_config(cls, config: Any) -> PresetCard:
        """Rebuilds what `to_config` wrote."""
        _check_fields("card", config, cls)
        accuracies = {}
        for field in ("published", "measured"):
            if not isinstance(config[field], list):
                raise ValueError(
                    f"In a preset's config, the card's {field!r} must be a list. "
                    f"Received: {config[field]!r}"
                )
            for entry in config[field]:
                _check_fields(f"{field} accuracy", entry, Accuracy)
            accuracies[field] = tuple(Accuracy(**entry) for entry in config[field])
        return cls(**{**config, **accuracies})


NO_CARD = PresetCard()


def _check_fields(what: str, config: Any, kind: type) -> None:
    expected = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(config, Mapping) or set(config) != expected:
        received = sorted(map(str, config)) if isinstance(config, Mapping) else repr(config)[:80]
        raise ValueError(
            f"In a preset's config, the {what} must have the entries {sorted(expected)}. "
            f"Received: {received}"
        )


# 2 added labels at the top, the card and recorded logits.
FORMAT_VERSION = 2
MODEL_CLASS = "TDNResNet"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_int(value) or isinstance(value, float)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_str(value: object) -> bool:
    return isinstance(value, str)


def _optional(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


def _list_of(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


# Kinds only: the model's constructor checks the values.
ARGUMENTS: dict[str, Callable[[object], bool]] = {
    "stage_depths": _list_of(_is_int),
    "width": _is_int,
    "short_term": _is_bool,
    "long_term": _is_bool,
    "temporal_shift": _is_bool,
    "include_top": _is_bool,
    "input_shape": _list_of(_optional(_is_int)),
    "pooling": _optional(_is_str),
    "classes": _is_int,
    "classifier_activation": _optional(_is_str),
    "num_segments": _is_int,
    "frames_per_segment": _is_int,
    "dropout_rate": _is_number,
    "include_preprocessing": _is_bool,
    "appearance_weight": _optional(_is_number),
    "motion_weight": _optional(_is_number),
    "labels": _optional(_list_of(_is_str)),
    "dtype": _is_str,
    "name": _is_str,
    "trainable": _is_bool,
    "frozen_layers": _list_of(_is_str),
}

ENTRIES = ("format_version", "model", "clip_spec", "card", "labels")
# Kernels of a bottleneck, in units of its inner width squared: 4 and 9 and 4; and of two bytes.
KERNEL_UNITS = 17
LEAST_BYTES = 2
# What a file has besides numbers: headers of at least fifteen arrays.
LEAST_BYTES_PER_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class PresetConfig:
    """A model's arguments, how its clips are cut, and where it is from.

    Args:
        arguments: `TDNResNet`'s constructor arguments as JSON holds them, with the dtype policy by
            name and the layers that are frozen.
        clip_spec: The clips the model was trained on.
        card: Licence, source, accuracy.
    """

    arguments: Mapping[str, Any]
    clip_spec: ClipSpec
    card: PresetCard = NO_CARD

    def __post_init__(self) -> None:
        _check_entries("the model's arguments", self.arguments, ARGUMENTS)
        for name, check in ARGUMENTS.items():
            if not check(self.arguments[name]):
                raise ValueError(
                    f"A preset's config has another kind of value for the model's {name!r}. "
                    f"Received: {name}={self.arguments[name]!r}"
                )

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Class names in the order of the scores."""
        labels = self.arguments["labels"]
        return None if labels is None else tuple(labels)

    @classmethod
    def of(
        cls,
        model: TDNResNet,
        labels: tuple[str, ...] | None = None,
        card: PresetCard | None = None,
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
        config = {
            **model.get_config(),
            "dtype": policy.name,
            "labels": model.labels if labels is None else labels,
        }
        return cls(_plain(config), model.clip_spec, NO_CARD if card is None else card)

    @classmethod
    def of_keras(cls, config: Mapping[str, Any]) -> PresetConfig | None:
        """Converts the config that Keras keeps of a `TDNResNet`.

        Returns:
            `None` for a model that a preset does not hold, such as a quantized one.
        """
        policy = config.get("dtype")
        if isinstance(policy, Mapping):
            if policy.get("class_name") != "DTypePolicy":
                return None
            policy = policy.get("config", {}).get("name")
        if not isinstance(config.get("classifier_activation"), str | None):
            return None
        spec = clip_spec_in(config) or clip_spec_in({**config, "clip_spec": None})
        return cls(_plain({**config, "dtype": policy}), spec or ClipSpec())

    @classmethod
    def from_json(cls, content: bytes) -> PresetConfig:
        """Reads what `to_json` wrote."""
        try:
            config = json.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"A preset's config must be JSON. Received: {error}") from error
        if (
            isinstance(config, dict)
            and config.get("format_version", FORMAT_VERSION) != FORMAT_VERSION
        ):
            raise ValueError(
                f"This version of keras_tdn reads presets of format {FORMAT_VERSION}. For a later "
                "one upgrade keras_tdn; make an earlier one again with `keras-tdn convert` or "
                f"`save_preset`. Received: format_version={config['format_version']!r}"
            )
        _check_entries("config.json", config, ENTRIES)
        model, clip_spec = config["model"], config["clip_spec"]
        _check_entries("the model", model, ("class_name", "arguments"))
        if model["class_name"] != MODEL_CLASS:
            raise ValueError(
                f"A preset's model must be a {MODEL_CLASS}. "
                f"Received: class_name={model['class_name']!r}"
            )
        _check_entries("the clip_spec", clip_spec, [f.name for f in dataclasses.fields(ClipSpec)])
        _check_entries("the model's arguments", model["arguments"], set(ARGUMENTS) - {"labels"})
        arguments = {**model["arguments"], "labels": config["labels"]}
        try:
            spec = ClipSpec.from_config(clip_spec)
            return cls(arguments, spec, PresetCard.from_config(config["card"]))
        except TypeError as error:
            raise ValueError(
                f"A preset's clip_spec has another kind of value. Received: {clip_spec}"
            ) from error

    def to_json(self) -> bytes:
        """Returns indented JSON in a fixed order."""
        config = {
            "format_version": FORMAT_VERSION,
            "model": {
                "class_name": MODEL_CLASS,
                "arguments": {name: self.arguments[name] for name in ARGUMENTS if name != "labels"},
            },
            "clip_spec": self.clip_spec.to_config(),
            "card": self.card.to_config(),
            "labels": self.arguments["labels"],
        }
        return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()

    def build(self, weights_bytes: int) -> TDNResNet:
        """Builds the model with random weights.

        Args:
            weights_bytes: Size of the weights file. A damaged number must not make a model that
                fills the memory, so one that is larger than its weights is not built.

        Raises:
            ValueError: if an argument does not fit.
        """
        width, depths = self.arguments["width"], self.arguments["stage_depths"]
        units = sum(depth * 4**stage for stage, depth in enumerate(depths))
        least = KERNEL_UNITS * units * width**2
        if self.arguments["include_top"]:
            least += 32 * width * self.arguments["classes"]
        if (
            least * LEAST_BYTES > weights_bytes
            or sum(map(abs, depths)) * LEAST_BYTES_PER_BLOCK > weights_bytes
        ):
            raise ValueError(
                f"The config asks for {sum(depths)} bottlenecks and at least {least} numbers, and "
                f"the file of the weights has {weights_bytes} bytes: they are from different "
                "models, or damaged."
            )
        arguments = dict(self.arguments)
        frozen = arguments.pop("frozen_layers")
        try:
            model = TDNResNet(**arguments, clip_spec=self.clip_spec)
            for name in frozen:
                model.get_layer(name).trainable = False
        except TypeError as error:
            raise ValueError(f"A preset's config does not make a model: {error}") from error
        return model


def clip_spec_in(config: Mapping[str, Any]) -> ClipSpec | None:
    """Returns the clip specification in the config that Keras keeps of a `TDNResNet`.

    Returns:
        `None` if the config is from a version that did not store it.
    """
    if "clip_spec" not in config:
        return None
    if config["clip_spec"] is not None:
        return ClipSpec.from_config(config["clip_spec"])
    try:
        return ClipSpec.for_crop(
            config["num_segments"], config["frames_per_segment"], *config["input_shape"][1:3]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"A model's config is damaged: {error!r}") from error


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in config.items()
        if name != "clip_spec"
    }
    return {"frozen_layers": [], **plain}


def _check_entries(what: str, entries: Any, expected: Any) -> None:
    if not isinstance(entries, Mapping) or set(entries) != set(expected):
        received = sorted(entries) if isinstance(entries, Mapping) else repr(entries)
        differing = set(expected).symmetric_difference(
            entries if isinstance(entries, Mapping) else ()
        )
        raise ValueError(
            f"In a preset's config, {what} must have the entries {sorted(expected)}. "
            f"Received: {received}; missing or unknown: {sorted(map(str, differing))}"
        )
