"""Checks and conversions for code that feeds clips of videos to a model."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_tdn.specs import ClipSpec


def clip_spec_of(model: keras.Model, clip_spec: ClipSpec | None = None) -> ClipSpec:
    """Returns how clips are cut: the caller's specification, or else the model's."""
    if clip_spec is not None:
        if not isinstance(clip_spec, ClipSpec):
            raise ValueError(f"Pass `clip_spec=keras_tdn.ClipSpec(...)`. Received: {clip_spec!r}")
        return clip_spec
    spec = getattr(model, "clip_spec", None)
    if not isinstance(spec, ClipSpec):
        raise ValueError(
            f"The model {getattr(model, 'name', model)!r} does not say how its clips are cut: it "
            "has no `clip_spec`. Pass `clip_spec=keras_tdn.ClipSpec(...)`, or use a TDN model."
        )
    return spec


def warn_of_assumed_clips(model: keras.Model, what: str) -> None:
    """Warns about the clip specification that is assumed for a model whose file has none.

    Args:
        model: A `TDNResNet`.
        what: What has none, as the beginning of a sentence.
    """
    if None not in model.input_shape[2:4]:
        return
    spec = model.clip_spec
    warnings.warn(
        f"{what} does not say how its clips are cut: crops of {spec.height}x{spec.width} pixels "
        f"from frames with a short side of {spec.short_side} are assumed. If it was trained on "
        "others, set `model.clip_spec` (on the command line --size and --short-side) and save it "
        "again.",
        stacklevel=3,
    )


def check_gives_scores(model: keras.Model) -> None:
    """Raises a `ValueError` for a model without its classifier."""
    if getattr(model, "include_top", True) is False:
        raise ValueError(
            "A model without its classifier gives features, not scores. Build it with "
            "`include_top=True`."
        )


def check_takes_clips(
    model: keras.Model, spec: ClipSpec, fix: str, crop_size: tuple[int, int] | None = None
) -> None:
    """Raises a `ValueError` if the model takes clips of another shape.

    Args:
        model: The model. One without a fixed input shape passes.
        spec: How clips are cut.
        fix: The end of the message: what to do about it.
        crop_size: Height and width of views whose crops are of another size than the clip's.
    """
    expected = getattr(model, "input_shape", None)
    shape = (spec.num_frames, *(crop_size or (spec.height, spec.width)), 3)
    if not isinstance(expected, tuple):
        return
    if len(expected) != 5 or any(
        size not in (None, given) for size, given in zip(expected[1:], shape, strict=True)
    ):
        raise ValueError(
            f"The model takes clips of shape {expected[1:]}, and "
            f"{'the clip_spec makes clips of' if crop_size is None else 'the views have the'} "
            f"shape {shape}. {fix}"
        )


def model_inputs(model: keras.Model, clips: np.ndarray, spec: ClipSpec) -> Any:
    """Returns pixels as the model takes them: normalised, unless it does that itself."""
    if getattr(model, "include_preprocessing", True):
        return clips
    mean = np.asarray(spec.normalization.mean, np.float32)
    std = np.asarray(spec.normalization.std, np.float32)
    return (clips.astype(np.float32) / np.float32(255) - mean) / std
