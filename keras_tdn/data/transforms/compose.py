"""Transforms one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from keras_tdn.data.transforms.transform import as_seed, derived_seed


@dataclasses.dataclass(frozen=True)
class Compose:
    """Applies transforms in order, each with a seed of its own.

    Use it to make one transform of several. A transform's seed follows from the seed of the whole
    and its position, so that appending another changes no earlier draw.

    Args:
        transforms: Transforms, or any functions of `(inputs, seed)`.

    Call arguments:
        inputs: A clip, or a tuple `(clip, label)`.
        seed: Two integers, int32 of shape `(2,)`; not needed if nothing is drawn.

    Returns:
        What the last transform returns.

    Raises:
        ValueError: if `transforms` holds something that cannot be called.

    Example:

    >>> clip = tf.zeros((40, 256, 340, 3), tf.uint8)
    >>> Compose((MultiScaleCrop(), RandomHorizontalFlip()))(clip, seed=(0, 7)).shape
    TensorShape([40, 224, 224, 3])
    """

    transforms: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.transforms, Iterable) or not all(
            callable(transform) for transform in self.transforms
        ):
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
        """Whether the first transform begins with a window that `box` can tell beforehand."""
        first = self.transforms[0] if self.transforms else None
        return hasattr(first, "box") and hasattr(first, "resize")

    def box(self, height: Any, width: Any, seed: Any) -> tf.Tensor:
        """The window that a call with this seed cuts out of frames of this size.

        Use it, where `crops_first`, to decode nothing but that window; `finish` does the rest:
        `compose(clip, seed)` equals `compose.finish(window_of_clip, seed)`.

        Args:
            height: Height of the frames in pixels, an integer or a scalar tensor.
            width: Width of the frames in pixels.
            seed: Two integers, int32 of shape `(2,)`: that of the whole.

        Returns:
            `(top, left, height, width)` in pixels, int32 of shape `(4,)`.

        Raises:
            ValueError: if the first transform does not begin with a window.
        """
        self._check_crops_first()
        return self.transforms[0].box(height, width, derived_seed(as_seed(seed), 0))

    def finish(self, inputs: Any, seed: Any) -> Any:
        """What is left to do for frames of which only the window of `box` was decoded."""
        self._check_crops_first()
        first = self.transforms[0]
        if isinstance(inputs, tuple):
            return self._apply((first.resize(inputs[0]), *inputs[1:]), seed, 1)
        return self._apply(first.resize(inputs), seed, 1)

    def _apply(self, inputs: Any, seed: Any, start: int) -> Any:
        if seed is not None:
            seed = as_seed(seed)
        for position, transform in enumerate(self.transforms[start:], start):
            inputs = transform(inputs, None if seed is None else derived_seed(seed, position))
        return inputs

    def _check_crops_first(self) -> None:
        if not self.crops_first:
            first = type(self.transforms[0]).__name__ if self.transforms else "no transform"
            raise ValueError(
                "Only a pipeline that begins with a random crop, such as MultiScaleCrop, knows its "
                f"window before the pixels; see `crops_first`. This one begins with: {first}"
            )
