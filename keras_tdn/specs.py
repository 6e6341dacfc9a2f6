"""What a clip is: one frozen description shared by sampling, transforms, models and presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The published models resize the short side to 256 and crop 224; other sizes keep that ratio.
SHORT_SIDE_PER_CROP = 256 / 224
DEFAULT_CROP_SIZE = 224


@dataclasses.dataclass(frozen=True)
class Normalization:
    """Per-channel statistics, in units of the [0, 1] range: `(pixel / 255 - mean) / std`.

    Args:
        mean: Three floats, red green blue.
        std: Three positive floats, red green blue.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        for field in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, field))
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(
                    f"Normalization needs three finite numbers for `{field}` (red, green, blue). "
                    f"Received: {field}={getattr(self, field)!r}"
                )
            object.__setattr__(self, field, values)
        if min(self.std) <= 0:
            raise ValueError(f"Normalization needs a positive `std`. Received: std={self.std}")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """How a clip is cut out of a video and handed to a model.

    Args:
        num_segments: Equal spans that the video is divided into.
        frames_per_segment: Neighbouring frames taken from each segment.
        height: Crop height in pixels.
        width: Crop width in pixels.
        short_side: Pixels that a frame's short side is resized to before the crop.
        normalization: Channel statistics the model was trained with.

    Example:

    >>> ClipSpec(num_segments=8).num_frames
    40
    """

    num_segments: int = 8
    frames_per_segment: int = 5
    height: int = DEFAULT_CROP_SIZE
    width: int = DEFAULT_CROP_SIZE
    short_side: int = 256
    normalization: Normalization = Normalization()

    def __post_init__(self) -> None:
        for field in ("num_segments", "frames_per_segment", "height", "width", "short_side"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"ClipSpec needs a positive integer for `{field}`. Received: {field}={value!r}"
                )
        if self.short_side < min(self.height, self.width):
            raise ValueError(
                "ClipSpec's `short_side` must be at least the crop's short side, or the crop "
                f"would not fit. Received: short_side={self.short_side}, height={self.height}, "
                f"width={self.width}"
            )

    @property
    def num_frames(self) -> int:
        """Frames in a clip: `num_segments * frames_per_segment`."""
        return self.num_segments * self.frames_per_segment

    @classmethod
    def for_crop(
        cls, num_segments: int, frames_per_segment: int, height: int, width: int
    ) -> ClipSpec:
        """The published resize-to-crop ratio, applied to another crop size."""
        short_side = round(min(height, width) * SHORT_SIDE_PER_CROP)
        return cls(num_segments, frames_per_segment, height, width, short_side)

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ClipSpec:
        """Rebuilds what `to_config` wrote.

        Raises:
            ValueError: if an entry is unknown, missing or of the wrong kind.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        if set(config) != fields:
            raise ValueError(
                f"A ClipSpec config has the entries {sorted(fields)}. Received: {sorted(config)}"
            )
        normalization = config["normalization"]
        if not isinstance(normalization, Mapping) or set(normalization) != {"mean", "std"}:
            raise ValueError(
                "A ClipSpec config's `normalization` has the entries ['mean', 'std']. "
                f"Received: {normalization!r}"
            )
        return cls(**{**config, "normalization": Normalization(**normalization)})
