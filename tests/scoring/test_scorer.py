import keras
import numpy as np
import pytest
from evaluation_toys import SPEC, toy
from small_networks import small_network

from keras_tdn.scoring.scorer import Scorer, average_views, softmax, with_logits
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.specs import ClipSpec


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


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="folded on TensorFlow alone")
class TestFolded:
    """Many views on a processor are scored by the folded network, unless it differs."""

    MANY = 1000

    def scorer(self, model, **options):
        spec = ClipSpec(model.num_segments, model.frames_per_segment, 32, 48, 56)
        return Scorer(model, ScoringOptions(clip_spec=spec, **options))

    @pytest.fixture
    def clips(self):
        shape = self.scorer(small_network()).clip_shape
        return np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)

    @pytest.fixture
    def networks(self, monkeypatch):
        """The networks that were folded."""
        from keras_tdn import inference

        made = []

        class Network(inference.FoldedNetwork):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                made.append(self)

        monkeypatch.setattr(inference, "FoldedNetwork", Network)
        monkeypatch.setattr("keras_tdn.scoring.scorer._gpus", list)
        return made

    @pytest.mark.parametrize("features", [False, True])
    def test_it_gives_the_scores_of_the_keras_model(self, networks, clips, features, monkeypatch):
        expected = self.scorer(small_network(), features=features).score(clips)
        scorer = self.scorer(small_network(), features=features)
        scorer.fold_for(self.MANY)
        first = scorer.score(clips)
        # Features are as large as 20.
        np.testing.assert_allclose(first, expected, rtol=1e-6, atol=1e-5)
        # From now on it is the folded network alone, which gave the first scores too.
        monkeypatch.setattr("keras_tdn.models.predicting.predict_batch", None)
        np.testing.assert_array_equal(scorer.score(clips), first)
        assert len(networks) == 1

    def test_one_that_differs_is_not_used(self, networks, clips, monkeypatch, caplog):
        monkeypatch.setattr("keras_tdn.scoring.scorer.FOLDED_TOLERANCE", -1.0)
        expected = self.scorer(small_network()).score(clips)
        scorer = self.scorer(small_network())
        scorer.fold_for(self.MANY)
        np.testing.assert_array_equal(scorer.score(clips), expected)
        np.testing.assert_array_equal(scorer.score(clips), expected)
        assert len(networks) == 1
        assert caplog.text.count("the Keras model is used") == 1

    def test_others_are_not_folded(self, networks, clips, monkeypatch):
        half = small_network(dtype="mixed_bfloat16")
        for scorer, num_views in (
            (self.scorer(half), self.MANY),
            (self.scorer(small_network()), 1),
            (self.scorer(small_network(), from_logits=False), self.MANY),
        ):
            scorer.fold_for(num_views)
            scorer.score(clips)
        monkeypatch.setattr("keras_tdn.scoring.scorer._gpus", lambda: ["GPU:0"])
        scorer = self.scorer(small_network())
        scorer.fold_for(self.MANY)
        scorer.score(clips)
        assert not networks


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
