"""The transforms of the paper, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras_tdn.data.transforms.center_crop import ResizeAndCenterCrop
from keras_tdn.data.transforms.compose import Compose
from keras_tdn.data.transforms.multi_scale_crop import MultiScaleCrop
from keras_tdn.data.transforms.random_horizontal_flip import RandomHorizontalFlip
from keras_tdn.specs import ClipSpec


def train_transforms(
    clip_spec: ClipSpec,
    flip_map: Sequence[int] | None = None,
    *,
    flip: bool = True,
    then: Sequence[Callable[[Any, Any], Any]] = (),
) -> Compose:
    """What the published models were trained with: a multi-scale crop, then a flip.

    Use it for training. It begins with a window, so that only that window needs to be decoded; see
    `Compose.box`.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        clip_spec: Its `height` and `width` are used.
        flip_map: For each class the class of its mirror image, integers of shape `(classes,)`;
            needed where classes differ by left and right.
        flip: Whether clips are mirrored at all.
        then: More transforms, after these.

    Returns:
        A transform of a clip or, with a `flip_map`, of `(clip, label)`.

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
    """What the published models were tested with: the short side resized, then the centre crop.

    Use it for validation. Nothing is drawn, so that it needs no seed.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        clip_spec: Its `short_side`, `height` and `width` are used.

    Returns:
        A transform of a clip, or of `(clip, label)`.

    Example:

    >>> test_transforms(ClipSpec())(tf.zeros((40, 240, 320, 3), tf.uint8)).shape
    TensorShape([40, 224, 224, 3])
    """
    return Compose((ResizeAndCenterCrop.from_spec(clip_spec),))
