import io

import keras
import numpy as np
import pytest
from synthetic_videos import encode_video, read_numbers

import keras_tdn
from keras_tdn.data.decoding import VideoDecodeError
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.prediction import Prediction, decode_predictions, predict_video
from keras_tdn.scoring.center_clip import read_center_clip
from keras_tdn.scoring.scorer import Scorer, average_views
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.specs import ClipSpec, Normalization

SPEC = ClipSpec(num_segments=4, height=32, width=32, short_side=36)
# Of frames that are as large as the clip.
SPEC_OF_FRAMES = ClipSpec(num_segments=4, height=32, width=32, short_side=32)
LABELS = ("fall", "geton", "roll")
SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]])


@pytest.fixture(scope="module")
def model():
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=16, classes=3, num_segments=4, input_shape=(20, 32, 32, 3)
    )
    model.labels = LABELS
    return model


class Recorder:
    """A model that keeps its clips and scores them by their mean."""

    name = "recorder"
    input_shape = (None, 20, 32, 32, 3)
    clip_spec = SPEC

    def __init__(self, activation=None, **attributes):
        self.__dict__.update(attributes)
        self.layers = [keras.layers.Activation(activation)]
        self.clips = []

    def predict_on_batch(self, clips):
        self.clips.append(clips)
        return np.array([[0.0, 3.0, 1.0]], np.float32)


def test_decode_by_hand():
    assert decode_predictions(SCORES, top=2, labels=LABELS) == [
        [Prediction(1, "geton", 0.7), Prediction(2, "roll", 0.2)],
        [Prediction(0, "fall", 0.5), Prediction(2, "roll", 0.5)],
    ]


def test_decode_without_labels_names_the_index():
    assert decode_predictions(SCORES, top=1)[0] == [Prediction(1, "class 1", 0.7)]


def test_decode_with_fewer_classes_than_top():
    assert [len(sample) for sample in decode_predictions(SCORES)] == [3, 3]


def test_decode_takes_names_files_and_tensors(tmp_path):
    scores = np.zeros((1, 400), np.float32)
    scores[0, 17] = 1
    assert decode_predictions(scores, labels="kinetics400")[0][0].label == "bee keeping"
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS))
    for some in (SCORES, SCORES.tolist(), SCORES.astype(np.float16)):
        assert decode_predictions(some, labels=path)[0][0].label == "geton"
    for dtype in ("float32", "bfloat16"):
        tensor = keras.ops.convert_to_tensor(SCORES, dtype=dtype)
        best = decode_predictions(tensor, labels=LABELS)[0][0]
        assert best.label == "geton"
        assert isinstance(best.score, float)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (SCORES[0], r"put those of one sample in a batch.*shape=\(3,\)"),
        (SCORES[None], r"Received: shape=\(1, 2, 3\)"),
        (np.zeros((2, 0)), r"Received: shape=\(2, 0\)"),
        (SCORES * np.nan, "must be finite"),
        (SCORES + np.inf, "must be finite"),
    ],
)
def test_error_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        decode_predictions(scores)


@pytest.mark.parametrize("top", [0, -1, 1.5, "3", None, True])
def test_error_top(model, top):
    with pytest.raises(ValueError, match="`top` must be an integer of at least 1"):
        decode_predictions(SCORES, top=top)
    with pytest.raises(ValueError, match="`top` must be an integer of at least 1"):
        predict_video(model, "nowhere.mp4", top=top)


def test_error_number_of_labels(model):
    with pytest.raises(ValueError, match="have 3 classes and `labels` has 101 names"):
        decode_predictions(SCORES, labels="ucf101")
    with pytest.raises(ValueError, match="have 3 classes and `labels` has 2 names"):
        predict_video(model, encode_video(3), labels=["a", "b"])


def test_sources_agree(model, tmp_path):
    video = encode_video(30)
    path = tmp_path / "video.mp4"
    path.write_bytes(video)
    from keras_tdn.data.decoding import read_frames

    frames = read_frames(video, range)
    predictions = predict_video(model, frames)
    assert sorted(item.label for item in predictions) == sorted(LABELS)
    assert sum(item.score for item in predictions) == pytest.approx(1, abs=1e-5)
    for source in (path, str(path), video, io.BytesIO(video)):
        assert predict_video(model, source) == predictions


def test_same_as_the_steps_by_hand(model):
    frames = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
    clip = resize_and_center_crop(frames[SegmentSampler(4)(50).ravel()], model.clip_spec)
    scores = keras.ops.convert_to_numpy(model(clip[None], training=False))[0]
    predictions = predict_video(model, frames)
    assert [item.index for item in predictions] == np.argsort(-scores).tolist()
    np.testing.assert_allclose([item.score for item in predictions], -np.sort(-scores), atol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 3, 20, 200])
def test_clip_holds_the_sampled_frames(num_frames):
    spec = ClipSpec(num_segments=4, height=96, width=160, short_side=96)
    recorder = Recorder(clip_spec=spec, input_shape=(None, None, None, None, 3))
    predict_video(recorder, encode_video(num_frames))
    (clips,) = recorder.clips
    assert clips.shape == (1, 20, 96, 160, 3)
    assert clips.dtype == np.uint8
    assert read_numbers(clips[0]) == SegmentSampler(4)(num_frames).ravel().tolist()


def test_clip_spec_can_be_given():
    recorder = Recorder(clip_spec=None, input_shape=None)
    predict_video(recorder, encode_video(9), clip_spec=SPEC)
    assert recorder.clips[0].shape == (1, 20, 32, 32, 3)


def test_model_without_preprocessing_gets_normalised_pixels():
    normalization = Normalization(mean=(0.5, 0.25, 0), std=(0.5, 1, 2))
    spec = ClipSpec(4, 5, 32, 32, 36, normalization)
    recorder = Recorder(include_preprocessing=False, clip_spec=spec)
    predict_video(recorder, np.full((9, 40, 40, 3), 255, np.uint8))
    clip = recorder.clips[0][0]
    assert clip.dtype == np.float32
    np.testing.assert_allclose(clip[0, 0, 0], [1, 0.75, 0.5])


def test_both_kinds_of_preprocessing_agree(model):
    bare = keras_tdn.TDNResNet(
        (1, 1, 1, 1),
        width=16,
        classes=3,
        num_segments=4,
        input_shape=(20, 32, 32, 3),
        include_preprocessing=False,
    )
    bare.set_weights(model.get_weights())
    frames = np.random.default_rng(2).integers(0, 256, (30, 40, 40, 3), np.uint8)
    expected = [item.score for item in predict_video(model, frames)]
    scores = [item.score for item in predict_video(bare, frames)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_another_normalization_is_seen_by_what_was_compiled_before():
    def made():
        model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=3, num_segments=4)
        model.set_weights(weights or model.get_weights())
        return model

    weights = None
    model = made()
    weights = model.get_weights()
    frames = np.random.default_rng(2).integers(0, 256, (30, 40, 40, 3), np.uint8)
    spec = ClipSpec(4, 5, 32, 32, 36, Normalization(mean=(0, 0, 0), std=(3, 3, 3)))
    model.clip_spec = SPEC
    before = [item.score for item in predict_video(model, frames)]
    model.clip_spec = spec
    other = made()
    other.clip_spec = spec
    scores = [item.score for item in predict_video(model, frames)]
    assert scores == [item.score for item in predict_video(other, frames)]
    assert scores != before


FRAMES = np.zeros((9, 40, 40, 3), np.uint8)


@pytest.mark.parametrize("options", [{"activation": None}, {"activation": "linear"}])
def test_logits_become_probabilities(options):
    best, second, last = predict_video(Recorder(**options), FRAMES)
    assert [best.index, second.index, last.index] == [1, 2, 0]
    assert best.score == pytest.approx(np.exp(3) / (1 + np.e + np.exp(3)))
    assert best.score + second.score + last.score == pytest.approx(1)


def test_the_caller_may_say_what_scores_are():
    expected = predict_video(Recorder(), FRAMES)
    assert predict_video(Recorder("sigmoid"), FRAMES, from_logits=True) == expected
    with pytest.raises(ValueError, match="'recorder' are no probabilities"):
        predict_video(Recorder("sigmoid"), FRAMES, from_logits=False)


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_error_scores_of_which_nothing_is_known(activation):
    with pytest.raises(ValueError, match=r"'recorder' does not tell whether.*from_logits=True"):
        predict_video(Recorder(activation), FRAMES)


def test_scores_are_those_of_evaluation(model):
    """To the bit: the softmax behind the model's logits is the same."""
    frames = np.random.default_rng(1).integers(0, 256, (20, 32, 32, 3), np.uint8)
    scorer = Scorer(model, ScoringOptions(clip_spec=SPEC_OF_FRAMES))
    clip = read_center_clip(frames, SPEC_OF_FRAMES).pixels
    (expected,) = average_views(scorer.score(clip[None])[None], scorer.kind)[0]
    found = predict_video(model, frames, clip_spec=SPEC_OF_FRAMES)
    assert [item.score for item in found] == sorted(expected, reverse=True)


def test_a_model_that_does_not_tell_its_shape():
    class Own(keras.Model):
        def call(self, clips):
            return keras.ops.mean(keras.ops.cast(clips, "float32"), axis=(1, 2, 3)) / 255

    frames = np.zeros((5, 40, 40, 3), np.uint8)
    frames[..., 1] = 255
    best = predict_video(Own(), frames, top=1, clip_spec=SPEC, from_logits=True)
    assert best[0].label == "class 1"
    assert Scorer(Own(), ScoringOptions(clip_spec=SPEC, from_logits=True)).classes == 3


def test_any_keras_model_will_do():
    inputs = keras.Input((20, 32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling3D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Softmax()(pooled))
    frames = np.zeros((5, 40, 40, 3), np.uint8)
    frames[..., 1] = 255
    best = predict_video(model, frames, top=1, clip_spec=SPEC, labels=["red", "green", "blue"])
    assert [item.label for item in best] == ["green"]


def test_error_no_clip_spec():
    with pytest.raises(ValueError, match="'recorder' does not say how its clips are cut"):
        predict_video(Recorder(clip_spec=None), encode_video(3))


def test_error_clip_spec_does_not_fit(model):
    with pytest.raises(ValueError, match=r"takes clips of shape \(20, 32, 32, 3\).*\(40, 224"):
        predict_video(model, encode_video(3), clip_spec=ClipSpec())


def test_error_model_without_top():
    with pytest.raises(ValueError, match="`include_top=True`"):
        predict_video(Recorder(include_top=False), encode_video(3))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((9, 40, 40, 3), np.float32), "Received: dtype=float32"),
        (np.zeros((40, 40, 3), np.uint8), r"Received: shape=\(40, 40, 3\)"),
    ],
)
def test_error_frames(model, frames, message):
    with pytest.raises(ValueError, match=message):
        predict_video(model, frames)


def test_error_video(model, tmp_path):
    with pytest.raises(VideoDecodeError, match="there is no such file"):
        predict_video(model, tmp_path / "nowhere.mp4")
