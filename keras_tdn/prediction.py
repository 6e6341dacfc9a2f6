"""From a video, or from scores, to named predictions."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_tdn.labels import load_labels
from keras_tdn.scoring.center_clip import read_center_clip
from keras_tdn.scoring.scorer import Scorer, softmax
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.specs import ClipSpec, checked_integer, python_integer

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource
    from keras_tdn.models import TDNResNet

Labels = str | os.PathLike[str] | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A class, by its position in the model's scores and its name, and its score.

    The score is a probability where the model's scores are.
    """

    index: int
    label: str
    score: float


def decode_predictions(
    scores: Any, top: int = 5, labels: Labels | None = None
) -> list[list[Prediction]]:
    """Names the highest scores of each sample, such as those that `model.predict` returns.

    Scores are taken as they are: apply a softmax to logits first where probabilities are wanted.

    Args:
        scores: Array of shape `(batch, classes)`.
        top: How many classes to name for each sample; with fewer classes than that, all.
        labels: Names in the order of the scores: a data set's name such as `"kinetics400"`, the
            path of a text file with one name per line, or the names themselves. `None` calls them
            `class 0`, `class 1` and so on.

    Returns:
        For each sample a list of `Prediction`, highest score first; equal scores keep the order of
        the classes.

    Raises:
        ValueError: if `scores` are of another rank or not finite, if `top` is not a positive
            integer, or if there are not as many labels as classes.

    Example:

    >>> decode_predictions([[0.1, 0.7, 0.2]], top=1, labels=["fall", "geton", "roll"])
    [[Prediction(index=1, label='geton', score=0.7)]]
    """
    top = _check_top(top)
    # Wide enough for every kind of score, bfloat16 of mixed precision included.
    array = np.asarray(keras.ops.convert_to_numpy(scores)).astype(np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            "Scores have the shape (batch, classes); put those of one sample in a batch with "
            f"`scores[None]`. Received: shape={array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            "Scores must be finite numbers. Received NaN or infinity; the model's weights or its "
            "input are broken."
        )
    names = _names(array.shape[1], labels)
    # Sorted upside down, because only that keeps equal scores in the order of the classes.
    orders = np.argsort(-array, axis=1, kind="stable")[:, :top].tolist()
    return [
        [Prediction(index, names[index], float(sample[index])) for index in order]
        for sample, order in zip(array, orders, strict=True)
    ]


def labels_of(model: keras.Model, labels: Labels | None = None) -> tuple[str, ...] | None:
    """Returns the names given, or else the model's own, if it has some."""
    given = getattr(model, "labels", None) if labels is None else labels
    return None if given is None else load_labels(given)


def class_names(model: TDNResNet, labels: Labels | None = None) -> tuple[str, ...]:
    """Returns the names given, those of the model, or numbers."""
    return _names(model.classes, labels_of(model, labels))


def _names(classes: int, labels: Labels | None) -> tuple[str, ...]:
    if labels is None:
        return tuple(f"class {index}" for index in range(classes))
    names = load_labels(labels)
    if len(names) != classes:
        raise ValueError(
            f"There must be one label for each class: the scores have {classes} classes and "
            f"`labels` has {len(names)} names. Pass the labels that the model was trained with."
        )
    return names


def predict_video(
    model: keras.Model,
    source: VideoSource | np.ndarray,
    *,
    top: int = 5,
    labels: Labels | None = None,
    clip_spec: ClipSpec | None = None,
    from_logits: bool | None = None,
) -> list[Prediction]:
    """Names what happens in one video.

    Use it for a video at hand; the view is the paper's cheap one (section 4, arXiv:2012.10071): one
    clip of centre-sampled segments, one centre crop. A short video repeats its last frames.

    Args:
        model: A model from clips to scores, such as `TDNResNet50`. A softmax turns logits into
            probabilities. If it was made with `include_preprocessing=False`, pixels are normalised
            as `clip_spec` says.
        source: The video: a path, the content of a file as bytes, a binary file object, or all its
            frames as a uint8 array of shape `(num_frames, height, width, 3)`, pixels in [0, 255].
        top: How many classes to name; with fewer classes than that, all.
        labels: Class names, as in `decode_predictions`. `None` takes the model's own.
        clip_spec: How to cut the clip. `None` takes the model's own.
        from_logits: Whether the model's scores are logits. By default its last layer decides; a
            model that ends in something other than a softmax or no activation is refused.

    Returns:
        List of `Prediction`, highest score first.

    Raises:
        ValueError: if the video cannot be read (a `VideoDecodeError`) or an argument does not fit.

    Example:

    >>> model = keras_tdn.TDNResNet50(weights="kinetics400")
    >>> for prediction in keras_tdn.predict_video(model, "video.mp4", top=3):
    ...     print(prediction.label, prediction.score)
    """
    # Wrong arguments are reported before the time that decoding and the model take is spent.
    _check_top(top)
    scorer = Scorer(model, ScoringOptions(clip_spec=clip_spec, from_logits=from_logits))
    labels = labels_of(model, labels)
    clip = read_center_clip(source, scorer.spec)
    scores = scorer.score(clip.pixels[np.newaxis])
    if scorer.kind == "logits":
        scores = softmax(scores)
    return decode_predictions(scores, top, labels)[0]


def _check_top(top: int) -> int:
    wanted = "`top` must be an integer of at least 1"
    return checked_integer("top", python_integer(top), wanted)
