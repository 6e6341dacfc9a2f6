import keras
import numpy as np
import pytest

from keras_tdn.evaluation import ExpectedCalibrationError, MeanClassAccuracy
from keras_tdn.evaluation.metrics import calibration, confusion_matrix, mean_class_accuracy


def samples(count=200, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=[0.6, 0.2, 0.15, 0.05, 0.0])
    scores = rng.normal(size=(count, classes))
    scores[np.arange(count), labels] += 1.5
    exponentials = np.exp(scores)
    return labels, (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def in_batches(metric, labels, scores, weights=None, size=32):
    for start in range(0, len(labels), size):
        part = slice(start, start + size)
        metric.update_state(labels[part], scores[part], None if weights is None else weights[part])
    return float(metric.result())


@pytest.mark.parametrize(
    "metric",
    [
        MeanClassAccuracy(num_classes=7, name="a", dtype="float64"),
        ExpectedCalibrationError(num_bins=7, from_logits=True, name="b", dtype="float64"),
    ],
)
def test_config_round_trip(metric):
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


def test_mean_class_accuracy_by_hand():
    metric = MeanClassAccuracy(num_classes=3)
    assert float(metric.result()) == 0
    metric.update_state([0, 0, 0, 1], [[9, 1, 0], [8, 2, 0], [1, 2, 0], [6, 4, 0]])
    # Two of three, none of one, and no sample of the third.
    assert float(metric.result()) == pytest.approx((2 / 3 + 0) / 2)
    metric.reset_state()
    metric.update_state(np.eye(3)[[2, 1]], [[0, 0, 1], [0, 1, 0]], sample_weight=[0.5, 2])
    assert float(metric.result()) == 1


def test_calibration_error_by_hand():
    metric = ExpectedCalibrationError(num_bins=10)
    metric.update_state([[0], [1]], [[0.85, 0.15], [0.85, 0.15]])
    assert float(metric.result()) == pytest.approx(0.35)
    metric.update_state([1], [[0.0, 1.0]], sample_weight=[2.0])
    assert float(metric.result()) == pytest.approx(0.175)


def test_both_by_an_oracle():
    labels, scores = samples()
    predicted = scores.argmax(axis=1)
    expected = mean_class_accuracy(confusion_matrix(labels, predicted, 5))
    # Metrics add in single precision.
    assert in_batches(MeanClassAccuracy(5), labels, scores) == pytest.approx(expected, abs=1e-6)
    expected, _ = calibration(scores.max(axis=1).astype(float), predicted == labels)
    result = in_batches(ExpectedCalibrationError(), labels, scores)
    assert result == pytest.approx(expected, abs=1e-5)
    logits = np.log(scores) + 3
    result = in_batches(ExpectedCalibrationError(from_logits=True), labels, logits)
    assert result == pytest.approx(expected, abs=1e-5)
    # Weights of 0 and 2 are samples left out and taken twice.
    weights = np.random.default_rng(1).integers(0, 3, len(labels)).astype(np.float32)
    taken = np.repeat(np.arange(len(labels)), weights.astype(int))
    for metric in (MeanClassAccuracy(5), ExpectedCalibrationError()):
        weighted = in_batches(metric, labels, scores, weights)
        metric.reset_state()
        assert weighted == pytest.approx(in_batches(metric, labels[taken], scores[taken]), abs=1e-5)


def test_they_plug_into_compile_and_are_saved_with_the_model(tmp_path):
    labels, scores = samples(64)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Softmax()(inputs))
    metrics = [MeanClassAccuracy(5), ExpectedCalibrationError()]
    model.compile(loss="sparse_categorical_crossentropy", metrics=metrics)
    logs = model.evaluate(np.log(scores), labels, batch_size=16, verbose=0, return_dict=True)
    for metric in (MeanClassAccuracy(5), ExpectedCalibrationError()):
        expected = in_batches(metric, labels, scores)
        assert logs[metric.name] == pytest.approx(expected, abs=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.evaluate(np.log(scores), labels, batch_size=16, verbose=0, return_dict=True)
    assert again == pytest.approx(logs)


@pytest.mark.parametrize("number", [0, 2.5, True])
def test_wrong_arguments_are_told(number):
    with pytest.raises(ValueError, match="num_classes"):
        MeanClassAccuracy(num_classes=number)
    with pytest.raises(ValueError, match="num_bins"):
        ExpectedCalibrationError(num_bins=number)
