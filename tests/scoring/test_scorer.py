import keras
import numpy as np
import pytest
from evaluation_toys import SPEC, toy

from keras_tdn.scoring.scorer import Scorer, average_views, softmax, with_logits
from keras_tdn.scoring.scoring_options import ScoringOptions


def model_with(*ends):
    """Means of pixels, and what comes behind them."""
    clips = keras.Input((SPEC.num_frames, None, None, 3))
    outputs = keras.layers.GlobalAveragePooling3D()(clips)
    for end in ends:
        outputs = end(outputs)
    model = keras.Model(clips, outputs, name="model")
    model.clip_spec = SPEC
    return model


class TestLogits:
    """The one rule for what scores are."""

    def test_a_softmax_of_its_own_is_taken_off(self):
        model = toy()
        kind, logits = with_logits(model)
        assert kind == "logits"
        # Kept, because each is compiled when it is first used.
        assert with_logits(model)[1] is logits is not model
        clips = np.random.default_rng(0).integers(0, 256, (2, *Scorer(model).clip_shape), np.uint8)
        np.testing.assert_allclose(softmax(logits(clips)), model(clips), rtol=1e-5)

    @pytest.mark.parametrize(
        ("ends", "kind"),
        [
            ([keras.layers.Dense(3)], "logits"),
            ([keras.layers.Activation("linear")], "logits"),
            ([keras.layers.Dense(3, activation="softmax")], "probabilities"),
            ([keras.layers.Softmax()], "probabilities"),
        ],
    )
    def test_what_the_last_layer_says(self, ends, kind):
        model = model_with(*ends)
        assert with_logits(model) == (kind, model)

    @pytest.mark.parametrize(
        "end", [keras.layers.Activation("sigmoid"), keras.layers.ReLU(), keras.layers.Dropout(0.5)]
    )
    def test_what_it_does_not_say_is_refused(self, end):
        model = model_with(end)
        with pytest.raises(ValueError, match="last layer of the model 'model' does not tell"):
            with_logits(model)
        assert with_logits(model, True) == ("logits", model)
        assert with_logits(model, False) == ("probabilities", model)


def test_values_are_checked():
    clips = np.full((1, *Scorer(toy()).clip_shape), 200, np.uint8)
    scorer = Scorer(model_with(keras.layers.Rescaling(-1.0)), ScoringOptions(from_logits=False))
    with pytest.raises(ValueError, match="'model' are no probabilities"):
        scorer.score(clips)
    infinite = model_with(keras.layers.Rescaling(np.inf))
    with pytest.raises(ValueError, match="'model' gives scores that are not finite"):
        Scorer(infinite, ScoringOptions(from_logits=True)).score(clips)


def test_averages_of_probabilities():
    scores = np.array([[[0.2, 0.8], [0.6, 0.4]]])
    np.testing.assert_allclose(average_views(scores, "probabilities")[0], [[0.4, 0.6]])
    (second,) = average_views(scores, "probabilities", subsets=[[1]])
    np.testing.assert_allclose(second, [[0.6, 0.4]])
    with pytest.raises(ValueError, match="Only logits can be averaged before the softmax"):
        average_views(scores, "probabilities", "logits")
