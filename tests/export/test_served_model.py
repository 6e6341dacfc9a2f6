import keras
import pytest

import keras_tdn
from keras_tdn.export import export_saved_model
from keras_tdn.export.served_model import ServedModel

LABELS = ("jump", "run", "walk")


def small_model(**arguments):
    return keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, num_segments=1, input_shape=(5, 32, 32, 3), **arguments
    )


@pytest.fixture(scope="module")
def model():
    return small_model(classes=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"this one has none. Pass `labels` with one name for each of its 3 classes"),
        ({"labels": LABELS[:2]}, r"one name for each of the 3 classes.*Received: 2 names"),
        ({"labels": ("jump", "run", 3)}, "one name for each of the 3 classes"),
        ({"labels": "kinetics400"}, "load_labels reads them"),
        ({"labels": LABELS, "top": 0}, "`top` must be an integer of at least 1. Received: top=0"),
        ({"labels": LABELS, "top": 1.5}, r"Received: top=1.5"),
        ({"labels": LABELS, "top": True}, "Received: top=True"),
    ],
)
def test_what_does_not_fit(model, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_saved_model(model, tmp_path / "1", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_classifier(tmp_path):
    with pytest.raises(ValueError, match=r"without its classifier .*Build it with include_top=T"):
        export_saved_model(small_model(include_top=False, pooling="avg"), tmp_path / "1")


@pytest.mark.parametrize("other", [None, "my_preset", keras.Sequential()])
def test_another_kind_of_model(tmp_path, other):
    with pytest.raises(ValueError, match="takes a TDNResNet, such as load_preset gives"):
        export_saved_model(other, tmp_path / "1")


def test_a_wrong_path_is_told_first(model):
    with pytest.raises(ValueError, match="is a positive integer"):
        export_saved_model(model, "model", labels=LABELS)


def test_no_more_classes_are_named_than_there_are(model):
    assert ServedModel.of(model, LABELS, 5).top == 3
    assert ServedModel.of(model, list(LABELS), 2) == ServedModel(model, LABELS, 2)


def test_own_labels_or_others(preset_model):
    model = preset_model[0]
    assert ServedModel.of(model, None, 5).labels == tuple(model.labels)
    assert ServedModel.of(model, tuple("abcde"), 5).labels == tuple("abcde")
