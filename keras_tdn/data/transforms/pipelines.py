"""Transforms one after the other, and those of the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.random_geometry import MultiScaleCrop, RandomHorizontalFlip
from keras_tdn.data.transforms.resizing import ResizeAndCenterCrop
from keras_tdn.data.transforms.transform import as_seed
from keras_tdn.specs import ClipSpec


@dataclasses.dataclass(frozen=True)
class Compose:
    """Applies transforms in order, each with a seed of its own.

    A transform's seed follows from the seed of the whole and its position, so that appending
    another changes no earlier draw.

    Args:
        transforms: Transforms, or any functions of `(inputs, seed)`.

    Call arguments and results are those of `ClipTransform`.

    Raises:
        ValueError: if `transforms` holds something that cannot be called.

    Example:

    >>> transform = Compose((MultiScaleCrop(), RandomHorizontalFlip()))
    >>> transform(tf.zeros((40, 256, 340, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    transforms: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.transforms, Iterable) or not all(map(callable, self.transforms)):
            raise ValueError(
                "Compose takes a sequence of transforms, each called with (inputs, seed). "
                f"Received: transforms={self.transforms!r}"
            )
        object.__setattr__(self, "transforms", tuple(self.transforms))

    def __call__(self, inputs: Any, seed: Any = None) -> Any:
        return self._apply(inputs, seed, 0)

    @property
    def is_random(self) -> bool:
        """Whether a call needs a seed."""
        return any(getattr(transform, "is_random", True) for transform in self.transforms)

    @property
    def crops_first(self) -> bool:
        """Whether the first transform starts with a window that `box` knows beforehand."""
        first = self.transforms[0] if self.transforms else None
        return hasattr(first, "box") and hasattr(first, "resize")

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """Returns the window that a call with this seed cuts out, as `MultiScaleCrop.box` does.

        Use it, where `crops_first`, to decode nothing but that window; `finish` does the rest:
        `compose(clip, seed)` equals `compose.finish(window_of_clip, seed)`. Otherwise a
        `ValueError`.
        """
        return self._first_crop().box(height, width, tf.random.fold_in(as_seed(seed), 0))

    def finish(self, inputs: Any, seed: Any) -> Any:
        """Does what is left for frames of which only the window of `box` was decoded."""
        resize = self._first_crop().resize
        if isinstance(inputs, tuple):
            return self._apply((resize(inputs[0]), *inputs[1:]), seed, 1)
        return self._apply(resize(inputs), seed, 1)

    def _apply(self, inputs: Any, seed: Any, start: int) -> Any:
        if seed is not None:
            seed = as_seed(seed)
        for position, transform in enumerate(self.transforms[start:], start):
            own_seed = None if seed is None else tf.random.fold_in(seed, position)
            inputs = transform(inputs, own_seed)
        return inputs

    def _first_crop(self) -> Any:
        if self.crops_first:
            return self.transforms[0]
        first = type(self.transforms[0]).__name__ if self.transforms else "no transform"
        raise ValueError(
            "Only a pipeline that begins with a random crop, such as MultiScaleCrop, knows its "
            f"window before the pixels; see `crops_first`. This one begins with: {first}"
        )


def train_transforms(
    clip_spec: ClipSpec,
    flip_map: Sequence[int] | None = None,
    *,
    flip: bool = True,
    then: Sequence[Callable[[Any, Any], Any]] = (),
) -> Compose:
    """Returns what the published models were trained with: a multi-scale crop, then a flip.

    Use it for training. Only the window that it begins with needs to be decoded: see `Compose.box`.

    Args:
        clip_spec: Its `height` and `width` are used.
        flip_map: For each class the class of its mirror image, integers of shape `(classes,)`;
            needed where classes differ by left and right.
        flip: Whether clips are mirrored at all.
        then: More transforms, after these.

    Returns:
        A transform of a clip, or of `(clip, label)`, which it has to be with a `flip_map`.

    Raises:
        ValueError: if `flip_map` is not a map of classes, or comes with `flip=False`.

    Example:

    >>> transform = train_transforms(ClipSpec(), then=(ColorJitter(),))
    >>> transform(tf.zeros((40, 256, 340, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """
    if not flip and flip_map is not None:
        raise ValueError(
            "A `flip_map` says what mirroring does to labels, and `flip=False` that nothing is "
            "mirrored. Pass one of them. Received both."
        )
    flips = (RandomHorizontalFlip(flip_map),) if flip else ()
    return Compose((MultiScaleCrop.from_spec(clip_spec), *flips, *then))


def test_transforms(clip_spec: ClipSpec) -> Compose:
    """Returns what the published models were tested with: a resize, then the centre crop.

    Use it for validation. Nothing is drawn, so that it needs no seed. Of the spec, `short_side`,
    `height` and `width` are used.

    Example:

    >>> test_transforms(ClipSpec())(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([40, 224, 224, 3])
    """
    return Compose((ResizeAndCenterCrop.from_spec(clip_spec),))
