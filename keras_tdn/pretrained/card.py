"""What a preset says about itself besides its model: licence, source, accuracy, citation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

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
