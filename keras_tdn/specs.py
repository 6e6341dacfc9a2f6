"""What clips and views are: frozen descriptions that all parts of the package share."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import operator
from collections.abc import Mapping
from typing import Any, TypeGuard

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The published models resize the short side to 256 and crop 224; other sizes keep that ratio.
SHORT_SIDE_PER_CROP = 256 / 224
DEFAULT_CROP_SIZE = 224


def check_field(config: Any, field: str, is_right: bool, wanted: str) -> None:
    """Raises a `ValueError` that says what is wanted for a field, unless it is right."""
    if not is_right:
        raise ValueError(
            f"{type(config).__name__} needs {wanted} for `{field}`. "
            f"Received: {field}={getattr(config, field)!r}"
        )


def checked_integer(name: str, value: Any, wanted: str, least: int = 1) -> int:
    """Returns `value`, or raises a `ValueError` that says what is `wanted` of this argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{wanted}. Received: {name}={value!r}")
    return value


def python_integer(value: Any) -> Any:
    """Returns what counts as an integer, such as NumPy's, as Python's, and others as they are."""
    with contextlib.suppress(TypeError):
        return value if isinstance(value, bool) else operator.index(value)
    return value


def check_integer(owner: str, field: str, value: Any, least: int) -> None:
    """Raises a `ValueError` unless it is an integer of at least `least`; `owner` is a genitive."""
    checked_integer(field, value, f"{owner} `{field}` is an integer of at least {least}", least)


def is_positive_int(value: Any) -> TypeGuard[int]:
    """Whether `value` is an integer above 0, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


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
            try:
                values = tuple(float(value) for value in getattr(self, field))
            except OverflowError:
                # An integer that no float holds, as JSON may have one.
                values = ()
            are_right = len(values) == 3 and all(map(math.isfinite, values))
            check_field(self, field, are_right, "three finite numbers (red, green, blue)")
            object.__setattr__(self, field, values)
        check_field(self, "std", min(self.std) > 0, "positive numbers")


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
            check_field(self, field, is_positive_int(getattr(self, field)), "a positive integer")
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
        cls,
        num_segments: int,
        frames_per_segment: int,
        height: int | None = None,
        width: int | None = None,
    ) -> ClipSpec:
        """The published resize-to-crop ratio, applied to another crop; `None` is 224 pixels."""
        height, width = height or DEFAULT_CROP_SIZE, width or DEFAULT_CROP_SIZE
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
        _check_entries(cls, config, "A ClipSpec config")
        normalization = config["normalization"]
        _check_entries(Normalization, normalization, "A ClipSpec config's `normalization`")
        try:
            return cls(**{**config, "normalization": Normalization(**normalization)})
        except TypeError as error:
            raise ValueError(
                "A ClipSpec config's `normalization` has another kind of value; expected three "
                f"numbers for each entry. Received: {str(normalization)[:200]}"
            ) from error


# The crop sets that evaluation knows.
CROP_COUNTS = (1, 3, 10)
CLIP_MODES = ("uniform", "random", "dense")


@dataclasses.dataclass(frozen=True)
class ViewSpec:
    """Which views of a video are scored: some clips in time, times some crops in space.

    The default is the paper's cheap view, one centre clip and one centre crop. Its thirty views are
    `ViewSpec(num_clips=10, num_crops=3)`; its code draws the ten clips at random.

    Args:
        num_clips: Clips of each video.
        num_crops: Crops of each clip: 1, the centre; 3, along the long side; or 10, the corners and
            the centre, each also mirrored.
        clip_mode: `"uniform"`, clips at equal steps; `"random"`, as the authors draw them; or
            `"dense"`, windows of 64 frames at equal steps.
        always_across: Whether three crops lie side by side in portrait videos too, where they
            coincide. The authors take them so; by default they lie one above the other there.
        crop_size: Height and width of a crop in pixels, or one number for both. `None` is the
            published size: the clip's own for 1 and 10 crops, and for 3 crops squares as large as
            the short side.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> ViewSpec(num_clips=10, num_crops=3).num_views
    30
    """

    num_clips: int = 1
    num_crops: int = 1
    clip_mode: str = "uniform"
    always_across: bool = False
    crop_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        size = self.crop_size
        sizes = (size, size) if isinstance(size, int) else size
        is_pair = isinstance(sizes, tuple | list) and len(sizes) == 2
        is_size = sizes is None or (is_pair and all(map(is_positive_int, sizes)))
        is_count = is_positive_int(self.num_crops) and self.num_crops in CROP_COUNTS
        for field, is_right, wanted in (
            ("num_clips", is_positive_int(self.num_clips), "a positive integer"),
            ("num_crops", is_count, f"one of {list(CROP_COUNTS)}"),
            ("clip_mode", self.clip_mode in CLIP_MODES, f"one of {list(CLIP_MODES)}"),
            ("always_across", isinstance(self.always_across, bool), "True or False"),
            ("crop_size", is_size, "(height, width) in pixels, one positive integer, or None"),
        ):
            check_field(self, field, is_right, wanted)
        object.__setattr__(self, "crop_size", None if sizes is None else tuple(sizes))

    @property
    def num_views(self) -> int:
        """Views of each video: `num_clips * num_crops`."""
        return self.num_clips * self.num_crops

    def crop_size_of(self, clip_spec: ClipSpec) -> tuple[int, int]:
        """Height and width of a crop in pixels, for clips of that kind."""
        if self.crop_size is not None:
            return self.crop_size
        if self.num_crops == 3:
            return clip_spec.short_side, clip_spec.short_side
        return clip_spec.height, clip_spec.width

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold; `from_config` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ViewSpec:
        """Rebuilds what `to_config` wrote; see `ClipSpec.from_config`."""
        _check_entries(cls, config, "A ViewSpec config")
        return cls(**config)


def _check_entries(spec: type[Any], config: Any, what: str) -> None:
    fields = {field.name for field in dataclasses.fields(spec)}
    if not isinstance(config, Mapping) or set(config) != fields:
        raise ValueError(f"{what} has the entries {sorted(fields)}. Received: {str(config)[:200]}")
