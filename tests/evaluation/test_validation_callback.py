import keras
import numpy as np
import pytest
from evaluation_toys import NAMES, SPEC, toy

from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation import MultiViewValidation, evaluate
from keras_tdn.specs import ViewSpec

VIEWS = ViewSpec(num_clips=2, num_crops=3)


def test_epochs_are_validated_on_several_views(some_bad, tmp_path):
    model = toy()
    clips = np.random.default_rng(0).integers(0, 256, (6, *model.input_shape[1:2], 24, 32, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    validation = MultiViewValidation(some_bad, VIEWS, every=2, batch_size=5)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="multiview_top1", mode="max", save_best_only=True
    )
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(dict(logs))

    history = model.fit(
        clips,
        np.arange(6) % 3,
        batch_size=3,
        epochs=4,
        verbose=0,
        callbacks=[validation, best, Watch()],
    )
    # Of four epochs the second and the fourth.
    assert ["multiview_top1" in logs for logs in seen] == [False, True, False, True]
    expected = evaluate(model, some_bad, VIEWS, batch_size=5, progress=False)
    assert validation.report == expected
    assert history.history["multiview_top1"] == [logs["multiview_top1"] for logs in seen[1::2]]
    assert seen[-1]["multiview_top1"] == expected.top1
    assert seen[-1]["multiview_top5"] == expected.top5
    assert seen[-1]["multiview_mean_class_accuracy"] == expected.mean_class_accuracy
    assert seen[-1]["multiview_loss"] == expected.loss
    assert seen[-1]["multiview_ece"] == expected.calibration_error
    # The weights were those of that epoch.
    assert seen[1]["multiview_loss"] != seen[3]["multiview_loss"]
    assert (tmp_path / "best.keras").exists()


def test_a_model_in_training_is_not_folded(some_bad, monkeypatch):
    """Its weights would be those of the first validation."""
    folded = []
    monkeypatch.setattr("keras_tdn.scoring.scorer.Scorer.fold_for", lambda _, n: folded.append(n))
    validation = MultiViewValidation(some_bad, VIEWS)
    validation.set_model(toy())
    validation.on_train_begin()
    validation.on_epoch_end(0, {})
    assert not folded
    assert evaluate(toy(), some_bad, VIEWS, progress=False) == validation.report
    assert folded == [len(some_bad) * VIEWS.num_views]


def test_a_decoder_may_be_named(videos):
    model = toy()
    model.compile("sgd", "sparse_categorical_crossentropy")
    clips = np.zeros((1, SPEC.num_frames, 24, 32, 3), np.float32)
    with pytest.raises(ValueError, match="A decoder's name is one of"):
        model.fit(
            clips, np.zeros(1), verbose=0, callbacks=[MultiViewValidation(videos, decoder="?")]
        )


def test_wrong_arguments_are_told_before_the_first_epoch(videos):
    with pytest.raises(ValueError, match=r"positive integer for `every`.*every=0"):
        MultiViewValidation(videos, every=0)
    model = toy()
    model.compile("sgd", "sparse_categorical_crossentropy")
    clips = np.zeros((1, SPEC.num_frames, 24, 32, 3), np.float32)
    of_two_classes = RecordList([one for one in videos if one.label < 2], NAMES[:2])
    for validation, message in (
        (MultiViewValidation(RecordList([Record("/a.mp4", 7)])), "no place for label 7"),
        (MultiViewValidation(of_two_classes), "2 classes and the model 3"),
        (MultiViewValidation(videos, average="max"), "one of"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(clips, np.zeros(1), verbose=0, callbacks=[validation])
