import pytest

from keras_tdn.training import plot_history

EPOCHS = [
    {"epoch": 1, "loss": 2.0, "top1": 0.1, "val_loss": 2.1, "val_top1": 0.2},
    {"epoch": 2, "loss": 1.0, "top1": 0.5},
    {"epoch": 3, "loss": 0.5, "top1": 0.8, "val_loss": 0.9, "val_top1": 0.7},
]


def test_training_and_validation():
    loss, accuracy = plot_history(EPOCHS).axes
    training, validation = accuracy.lines
    assert training.get_ydata().tolist() == [0.1, 0.5, 0.8]
    # Not every epoch need be validated.
    assert validation.get_xdata().tolist() == [1, 3]
    names = [text.get_text() for text in loss.get_legend().get_texts()]
    assert names == ["training", "validation"]


def test_training_alone():
    (line,) = plot_history([{"epoch": 1, "loss": 2.0, "top1": 0.1}]).axes[0].lines
    # A single epoch would not be seen as a line.
    assert line.get_marker() == "o"


def test_what_is_no_history():
    for history in ([], [{"epoch": 1, "loss": 2.0}]):
        with pytest.raises(ValueError, match="sequence of epochs with the figures"):
            plot_history(history)
