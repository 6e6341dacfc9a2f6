"""From clips to scores on any backend, from the scores of views to those of a video."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np

from keras_tdn.layers import SegmentConsensus
from keras_tdn.models import predicting
from keras_tdn.scoring.scoring_options import DEFAULT_OPTIONS, ScoringOptions

ScoreKind = Literal["logits", "probabilities"]
Average = Literal["softmax", "logits"]
# From clips to their scores, with their pooled features behind if these are asked for.
_Compute = Callable[[np.ndarray], np.ndarray]

# Sums of probabilities in half precision differ from 1 by less.
SUM_TOLERANCE = 0.02
# Views are averaged in double precision, some at a time.
CHUNK_VALUES = 2**22
# Making the folded network, and scoring a batch twice, takes as long as it saves in so many views.
MIN_FOLDED_VIEWS = 64
FOLDED_TOLERANCE = 1e-5
OTHER_SIZES = (
    "Pass a `clip_spec` that fits the model or, of a model for one size only, "
    "`ViewSpec(crop_size=(height, width))` (on the command line --crop-size HxW)."
)

logger = logging.getLogger("keras_tdn")


class Scorer:
    """Scores views with a model; refuses one that takes or gives something else.

    Scores are logits where the model has them, behind a softmax or without one: every average
    follows from logits, and the authors' ensemble needs them. Otherwise they are probabilities.
    """

    def __init__(self, model: keras.Model, options: ScoringOptions = DEFAULT_OPTIONS) -> None:
        self.model = model
        # The clip that the model takes, and the shape of a view.
        self.spec = predicting.clip_spec_of(model, options.clip_spec)
        size = options.views.crop_size_of(self.spec)
        self.clip_shape = (self.spec.num_frames, *size, 3)
        predicting.check_gives_scores(model)
        predicting.check_takes_clips(model, self.spec, OTHER_SIZES, size)
        shape = getattr(model, "output_shape", None)
        if shape is not None and (not isinstance(shape, tuple) or len(shape) != 2):
            raise ValueError(
                "Scoring takes a model that gives one score per class, of shape (batch, classes). "
                f"Received a model with the output shape {shape}"
            )
        self.kind, self._scoring_model = with_logits(model, options.from_logits)
        self.num_features, self._is_keras = 0, options.graph_dtype is None
        self._compute: _Compute = self._keras_model
        if options.graph_dtype is not None:
            self._check_inference_graph()
            self._compute = self._folded(options.graph_dtype, options.features)
        elif options.features:
            self._scoring_model = self._with_features()

    @functools.cached_property
    def classes(self) -> int:
        """Number of classes. A model that does not tell its output shape scores a black clip."""
        shape = getattr(self.model, "output_shape", None)
        if shape is not None and shape[1] is not None:
            return int(shape[1])
        return self.score(np.zeros((1, *self.clip_shape), np.uint8)).shape[1] - self.num_features

    @property
    def num_values(self) -> int:
        """Numbers that a view is given: scores, and features if they are asked for."""
        return self.classes + self.num_features

    def score(self, clips: np.ndarray) -> np.ndarray:
        """Scores a batch of clips, uint8 of shape `(batch, frames, height, width, 3)`.

        Returns float32 of shape `(batch, num_values)`: logits or probabilities, as `kind` says, and
        features behind them. Equal clips in batches of one shape give equal bits.
        """
        values = self._compute(clips)
        scores, features = np.split(values, [values.shape[1] - self.num_features], axis=1)
        for name, numbers in (("scores", scores), ("features", features)):
            if not np.isfinite(numbers).all():
                raise ValueError(
                    f"The model {self.model.name!r} gives {name} that are not finite. Check its "
                    "weights, and whether it expects pixels in [0, 255]."
                )
        if self.kind == "probabilities" and (
            scores.min() < 0 or np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE
        ):
            raise ValueError(
                f"The scores of the model {self.model.name!r} are no probabilities: they are "
                "negative, or do not sum to 1 over the classes. Pass `from_logits=True` if they "
                "are logits; no others are known."
            )
        return values

    def fold_for(self, num_views: int) -> None:
        """Scores so many views with the folded network, where it gives what the Keras model gives.

        The first batch is scored by both; they may differ by 1e-5, above 1 by that share. The Keras
        model scores few views, and all on GPUs, where the folded one is not known to be faster.
        """
        from keras_tdn.inference import can_fold

        is_worth_it = self._is_keras and num_views >= MIN_FOLDED_VIEWS and self.kind == "logits"
        if is_worth_it and can_fold(self.model) and not _gpus():
            self._compute = functools.partial(self._compare, self._compute)
            self._is_keras = False

    def _compare(self, keras_model: _Compute, clips: np.ndarray) -> np.ndarray:
        folded = self._folded("float32", self.num_features > 0)
        expected, found = keras_model(clips), folded(clips)
        distance = (np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max()
        if distance <= FOLDED_TOLERANCE:
            self._compute = folded
            return found
        name, by = self.model.name, f"{distance:.1e}"
        logger.warning(f"The folded network of {name!r} differs by {by}; the Keras model is used.")
        self._compute = keras_model
        return expected

    def _keras_model(self, clips: np.ndarray) -> np.ndarray:
        inputs = predicting.model_inputs(self.model, clips, self.spec)
        values = predicting.predict_batch(self._scoring_model, inputs)
        # Of a single output Keras makes no list.
        parts = values if isinstance(values, list | tuple) else [values]
        return np.concatenate([np.asarray(part, np.float32) for part in parts], axis=1)

    def _with_features(self) -> keras.Model:
        """The model with a second output, the mean over segments of what is pooled."""
        model, scoring = self.model, self._scoring_model
        if not hasattr(model, "stage_depths"):
            raise ValueError(
                f"The model {model.name!r} is not a TDN model, and where its pooled features are "
                "cannot be told. Leave out `features` (on the command line --features)."
            )

        def with_mean() -> keras.Model:
            pooled = model.get_layer("pool").output
            mean = SegmentConsensus(model.num_segments, name="features", dtype="float32")(pooled)
            return keras.Model(model.input, [scoring.output, mean])

        both = predicting.derived(model, f"{scoring.name} and features", with_mean)
        self.num_features = int(both.output_shape[1][-1])
        return both

    def _check_inference_graph(self) -> None:
        model, backend = self.model, keras.backend.backend()
        leave_out = "Leave out `graph_dtype` (on the command line --graph-dtype)."
        if backend != "tensorflow" or not hasattr(model, "stage_depths"):
            raise ValueError(
                "The inference graph is of TDN models on the TensorFlow backend. Received: "
                f"{model.name!r} on {backend!r}. {leave_out}"
            )
        spec, crop_size = model.clip_spec, self.clip_shape[1:3]
        if crop_size != (spec.height, spec.width) or self.kind != "logits":
            raise ValueError(
                f"The inference graph takes crops of the model's own size, {spec.height}x"
                f"{spec.width}, and gives logits. Received: crops of {crop_size[0]}x"
                f"{crop_size[1]}, scores that are {self.kind}. {leave_out}"
            )

    def _folded(self, dtype: str, with_features: bool) -> _Compute:
        """The network of the exports, which gives logits."""
        from keras_tdn.inference import FoldedNetwork
        from keras_tdn.inference.folding import classifier_weights

        network = FoldedNetwork(self.model, dtype)
        kernel, bias = classifier_weights(self.model)
        self.num_features = len(kernel) if with_features else 0

        def compute(clips: np.ndarray) -> np.ndarray:
            features = network.features(clips).numpy()
            scores = features @ kernel + bias
            return np.concatenate([scores, features], axis=1) if with_features else scores

        return compute


def with_logits(
    model: keras.Model, from_logits: bool | None = None
) -> tuple[ScoreKind, keras.Model]:
    """Decides what a model's scores are, and finds the model that gives logits if there is one.

    `from_logits` decides, or else the last layer. Scores of an unknown kind are refused, because a
    softmax too many or too few would silently change what is reported.
    """
    if from_logits is not None:
        return ("logits" if from_logits else "probabilities"), model
    last = model.layers[-1] if getattr(model, "layers", None) else None
    activation = getattr(last, "activation", None)
    is_softmax = isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax
    if is_softmax and isinstance(last, keras.layers.Activation) and _ends_in(model, last):
        # It has the same layers and weights, and stops one step short.
        make = functools.partial(keras.Model, model.input, last.input, name=f"{model.name}_logits")
        return "logits", predicting.derived(model, "logits", make)
    if is_softmax:
        return "probabilities", model
    if activation is keras.activations.linear:
        return "logits", model
    raise ValueError(
        f"The last layer of the model {getattr(model, 'name', model)!r} does not tell whether its "
        "scores are logits or a softmax of them. End it in `keras.layers.Activation('linear')` for "
        "logits, or in `keras.layers.Activation('softmax')`; functions that score videos also take "
        "`from_logits=True` or `from_logits=False`."
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, in double precision."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def average_views(
    view_scores: np.ndarray,
    kind: ScoreKind,
    average: Average = "softmax",
    subsets: Sequence[Sequence[int]] | None = None,
) -> list[np.ndarray]:
    """Averages scores of shape `(videos, views, classes)` to probabilities of each video.

    `"softmax"` is the mean of the views' probabilities, as the authors take it, `"logits"` the
    softmax of the mean of their logits. There is a result, float64 of shape `(videos, classes)`,
    for each of the `subsets` of views; by default for all of the views.
    """
    if average not in get_args(Average):
        known = list(get_args(Average))
        raise ValueError(f"Views are averaged by one of {known}. Received: average={average!r}")
    if average == "logits" and kind != "logits":
        raise ValueError(
            "Only logits can be averaged before the softmax, and this model gives probabilities. "
            "Pass average='softmax'."
        )
    chosen = [list(subset) for subset in (subsets or [range(view_scores.shape[1])])]
    means: list[list[np.ndarray]] = [[] for _ in chosen]
    for scores in view_chunks(view_scores):
        if kind == "logits" and average == "softmax":
            scores = softmax(scores)
        for parts, subset in zip(means, chosen, strict=True):
            mean = scores[:, subset].mean(axis=1)
            parts.append(softmax(mean) if average == "logits" else mean)
    return [np.concatenate(parts) for parts in means]


def view_chunks(view_scores: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the scores of some videos at a time in double precision, at least once."""
    num_videos, num_views, classes = view_scores.shape
    chunk = max(1, CHUNK_VALUES // (num_views * classes))
    for start in range(0, max(num_videos, 1), chunk):
        yield view_scores[start : start + chunk].astype(np.float64)


def _gpus() -> list[Any]:
    import tensorflow as tf

    return tf.config.list_logical_devices("GPU")


def _ends_in(model: keras.Model, layer: keras.layers.Layer) -> bool:
    """Whether the model is a graph of layers whose output is this layer's, used once."""
    outputs = getattr(model, "outputs", None) or []
    try:
        return len(outputs) == 1 and layer.output is outputs[0]
    except AttributeError:
        return False
