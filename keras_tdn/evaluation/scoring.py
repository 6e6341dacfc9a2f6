"""From batches of views to scores, on any backend."""

from __future__ import annotations

import weakref
from typing import Literal

import keras
import numpy as np

from keras_tdn.models.clips import check_gives_scores, check_takes_clips, model_inputs
from keras_tdn.models.predicting import predict_batch
from keras_tdn.specs import ClipSpec

ScoreKind = Literal["logits", "probabilities"]

# Sums of probabilities in half precision differ from 1 by less.
SUM_TOLERANCE = 0.02
OTHER_SIZES = (
    "Pass a `clip_spec` that fits the model or, of a model for one size only, "
    "`ViewSpec(crop_size=(height, width))` (on the command line --crop-size HxW)."
)
# Kept as long as the models themselves, because each is compiled when it is first used.
_LOGIT_MODELS: weakref.WeakKeyDictionary[keras.Model, keras.Model] = weakref.WeakKeyDictionary()


class Scorer:
    """Scores views with a model.

    Scores are logits where the model has them, behind a softmax or without one: every average that
    evaluation takes follows from logits, and the authors' ensemble needs them. Of another model
    that gives probabilities, these are taken.

    Args:
        model: A model from clips to scores of classes.
        clip_spec: The clip that it takes.
        crop_size: Height and width of the crops that it will be given, in pixels.
        from_logits: Whether the model's scores are logits; by default its last layer tells.

    Raises:
        ValueError: if the model gives something else, or takes other clips.

    Example:

    >>> Scorer(model, model.clip_spec, (224, 224)).score(clips).shape
    (8, 400)
    """

    def __init__(
        self,
        model: keras.Model,
        clip_spec: ClipSpec,
        crop_size: tuple[int, int],
        from_logits: bool | None = None,
    ) -> None:
        self.model = model
        self.clip_spec = clip_spec
        check_gives_scores(model)
        check_takes_clips(model, clip_spec, OTHER_SIZES, crop_size)
        self.classes = _num_classes(model)
        self.kind, self._scoring_model = with_logits(model, from_logits)

    def score(self, clips: np.ndarray) -> np.ndarray:
        """Scores of a batch of clips.

        Args:
            clips: Pixels in [0, 255], uint8 of shape `(batch, frames, height, width, 3)`. Batches
                of one shape are compiled once, and give equal bits for equal clips.

        Returns:
            float32 of shape `(batch, classes)`: logits or probabilities, as `kind` says.

        Raises:
            ValueError: if a score is not finite, or probabilities are none.
        """
        inputs = model_inputs(self.model, clips, self.clip_spec)
        return self._checked(np.asarray(predict_batch(self._scoring_model, inputs), np.float32))

    def _checked(self, scores: np.ndarray) -> np.ndarray:
        if not np.isfinite(scores).all():
            raise ValueError(
                f"The model {self.model.name!r} gives scores that are not finite. Check its "
                "weights, and whether it expects pixels in [0, 255]."
            )
        if self.kind == "probabilities" and (
            scores.min() < 0 or np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE
        ):
            raise ValueError(
                f"The scores of the model {self.model.name!r} are no probabilities: they are "
                "negative, or do not sum to 1 over the classes. Pass `from_logits=True` if they "
                "are logits; evaluation knows no others."
            )
        return scores


def _num_classes(model: keras.Model) -> int:
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError(
            "Evaluation takes a model that gives one score per class, of shape (batch, classes). "
            f"Received a model with the output shape {shape}"
        )
    return int(shape[1])


def with_logits(model: keras.Model, from_logits: bool | None) -> tuple[ScoreKind, keras.Model]:
    """The kind of a model's scores, and the model that gives them.

    Args:
        model: A model from clips to scores.
        from_logits: Whether its scores are logits; by default its last layer tells.

    Returns:
        The kind, and the model itself or, if it ends in a softmax of its own, one without that.
    """
    if from_logits is not None:
        return ("logits" if from_logits else "probabilities"), model
    last = model.layers[-1] if getattr(model, "layers", None) else None
    activation = getattr(last, "activation", None)
    is_softmax = isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax
    if is_softmax and isinstance(last, keras.layers.Activation) and _ends_in(model, last):
        if model not in _LOGIT_MODELS:
            # It has the same layers and weights, and stops one step short.
            name = f"{model.name}_logits"
            _LOGIT_MODELS[model] = keras.Model(model.input, last.input, name=name)
        return "logits", _LOGIT_MODELS[model]
    if is_softmax:
        return "probabilities", model
    if activation is keras.activations.linear:
        return "logits", model
    raise ValueError(
        f"The last layer of the model {model.name!r} does not tell whether its scores are logits "
        "or a softmax of them. End it in `keras.layers.Activation('linear')` for logits, or in "
        "`keras.layers.Activation('softmax')`; `evaluate` and `MultiViewValidation` also take "
        "`from_logits=True` or `from_logits=False`."
    )


def _ends_in(model: keras.Model, layer: keras.layers.Layer) -> bool:
    """Whether the model is a graph of layers whose output is this layer's, used once."""
    outputs = getattr(model, "outputs", None) or []
    try:
        return len(outputs) == 1 and layer.output is outputs[0]
    except AttributeError:
        return False
