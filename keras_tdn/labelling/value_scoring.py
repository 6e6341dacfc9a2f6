"""Scores and pooled features of views, out of one pass through the network."""

from __future__ import annotations

import weakref

import keras
import numpy as np

from keras_tdn.evaluation.scoring import Scorer
from keras_tdn.labelling.options import LabelOptions
from keras_tdn.layers import SegmentConsensus
from keras_tdn.models.clips import model_inputs
from keras_tdn.models.predicting import predict_batch
from keras_tdn.specs import ClipSpec

# Kept as long as the models themselves, because each is compiled when it is first used.
_BOTH_MODELS: weakref.WeakKeyDictionary[keras.Model, keras.Model] = weakref.WeakKeyDictionary()


def value_scorer(
    model: keras.Model,
    clip_spec: ClipSpec,
    crop_size: tuple[int, int],
    from_logits: bool | None,
    options: LabelOptions,
) -> Scorer:
    """The scorer that gives the values which options ask for.

    Raises:
        ValueError: if the model does not go with them.
    """
    if options.graph_dtype is not None:
        return GraphScorer(model, clip_spec, crop_size, from_logits, options)
    kind = FeatureScorer if options.features else Scorer
    return kind(model, clip_spec, crop_size, from_logits)


class FeatureScorer(Scorer):
    """Scores and, behind them in the same row, pooled features.

    Both are of one pass through the network.

    Args:
        model: A TDN model with its classifier.
        clip_spec: As `Scorer` takes it, like the others.
        crop_size: Height and width of the crops in pixels.
        from_logits: Whether the model's scores are logits.

    Raises:
        ValueError: as `Scorer` does, or if the model has no pooled features.
    """

    def __init__(
        self,
        model: keras.Model,
        clip_spec: ClipSpec,
        crop_size: tuple[int, int],
        from_logits: bool | None = None,
    ) -> None:
        super().__init__(model, clip_spec, crop_size, from_logits)
        if not hasattr(model, "stage_depths"):
            raise ValueError(
                f"The model {model.name!r} is not a TDN model, and where its pooled features are "
                "cannot be told. Leave out `features` (on the command line --features)."
            )
        if self._scoring_model not in _BOTH_MODELS:
            pooled = model.get_layer("pool").output
            mean = SegmentConsensus(model.num_segments, name="features", dtype="float32")(pooled)
            both = keras.Model(model.input, [self._scoring_model.output, mean])
            _BOTH_MODELS[self._scoring_model] = both
        self._both = _BOTH_MODELS[self._scoring_model]
        self.num_features = int(self._both.output_shape[1][-1])

    def score(self, clips: np.ndarray) -> np.ndarray:
        """float32 of shape `(batch, classes + features)`; see `Scorer.score`."""
        inputs = model_inputs(self.model, clips, self.clip_spec)
        scores, features = (
            np.asarray(output, np.float32) for output in predict_batch(self._both, inputs)
        )
        if not np.isfinite(features).all():
            raise ValueError(
                f"The model {self.model.name!r} gives features that are not finite. Check its "
                "weights, and whether it expects pixels in [0, 255]."
            )
        return np.concatenate([self._checked(scores), features], axis=1)


class GraphScorer(Scorer):
    """Scores, and features if they are asked for, by the inference graph of the exports.

    Use it where the time of the model counts: batch norms are inside the convolutions and both
    directions of a long-term TDM are one batch, which gives the same numbers sooner, and bfloat16
    takes about half of the time on processors that have instructions for it.

    Args:
        model: A TDN model with its classifier, on the TensorFlow backend.
        clip_spec: As `Scorer` takes it, like the next two.
        crop_size: Height and width of the crops in pixels.
        from_logits: Whether the model's scores are logits; its activation tells.
        options: Their `graph_dtype` and `features`.

    Raises:
        ValueError: as `Scorer` does, or if there is no such graph of the model.
    """

    def __init__(
        self,
        model: keras.Model,
        clip_spec: ClipSpec,
        crop_size: tuple[int, int],
        from_logits: bool | None,
        options: LabelOptions,
    ) -> None:
        super().__init__(model, clip_spec, crop_size, from_logits)
        leave_out = "Leave out `graph_dtype` (on the command line --graph-dtype)."
        if keras.backend.backend() != "tensorflow" or not hasattr(model, "stage_depths"):
            raise ValueError(
                "The inference graph is of TDN models on the TensorFlow backend. Received: "
                f"{model.name!r} on {keras.backend.backend()!r}. {leave_out}"
            )
        spec = model.clip_spec
        if crop_size != (spec.height, spec.width) or self.kind != "logits":
            raise ValueError(
                f"The inference graph takes crops of the model's own size, {spec.height}x"
                f"{spec.width}, and gives logits. Received: crops of {crop_size[0]}x"
                f"{crop_size[1]}, scores that are {self.kind}. {leave_out}"
            )
        from keras_tdn.inference.folding import classifier_weights
        from keras_tdn.inference.inference_network import FoldedNetwork

        self._network = FoldedNetwork(model, options.graph_dtype or "")
        self._features = options.features
        self._kernel, self._bias = classifier_weights(model)
        if options.features:
            self.num_features = len(self._kernel)

    def score(self, clips: np.ndarray) -> np.ndarray:
        """float32 of shape `(batch, classes)`, with features `(batch, classes + features)`."""
        features = self._network.features(clips).numpy()
        scores = self._checked(features @ self._kernel + self._bias)
        return np.concatenate([scores, features], axis=1) if self._features else scores
