"""Each callback by itself, on a model of a few numbers."""

import importlib.util
import math
import sys
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from full_disk import disk_of

from keras_tdn.data.dataset.order import BatchPositions
from keras_tdn.pretrained.weights_file import write_weights_file
from keras_tdn.training import recipes
from keras_tdn.training.callbacks import (
    Checkpoints,
    EpochLog,
    EvaluateAverages,
    InputTiming,
    Progress,
    StopEarly,
    StopOnDivergence,
    TrainingDivergedError,
    TrainingState,
    load_checkpoint,
    reporting,
    training_callbacks,
)
from keras_tdn.training.variables import sync

CLIPS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
LABELS = np.arange(8) % 2


def small_model(rate=0.1, **arguments):
    clips = keras.Input((3,), name="clips")
    x = keras.layers.BatchNormalization(name="norm")(clips)
    x = keras.layers.Dense(2, activation="softmax", name="classifier")(x)
    model = keras.Model(clips, x, name="small")
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, **arguments),
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")],
        # Less work than tracing, for so few steps.
        run_eagerly=True,
    )
    return model


def fit(model, callbacks, epochs=2, **arguments):
    return model.fit(
        CLIPS,
        LABELS,
        batch_size=2,
        epochs=epochs,
        validation_data=(CLIPS, LABELS),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
        **arguments,
    )


class Figures(keras.callbacks.Callback):
    """Puts figures that a test made up in place of those that were measured."""

    def __init__(self, **figures):
        super().__init__()
        self.figures = figures

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.figures.items()})


# === Logs ===


def test_epochs_are_logged_once(tmp_path):
    log = EpochLog(tmp_path / "log.csv")
    history = fit(small_model(), [log], epochs=3).history
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,learning_rate,loss,top1,val_loss,val_top1"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [row["val_loss"] for row in log.rows] == history["val_loss"]
    assert float(lines[3].split(",")[2]) == history["loss"][2]
    assert log.rows[0]["learning_rate"] == pytest.approx(0.1)
    # From the memory of after the first epoch, the second comes again.
    again = EpochLog(tmp_path / "log.csv")
    again.restore({"rows": log.rows[:1]})
    fit(small_model(), [again], initial_epoch=1)
    assert [row["epoch"] for row in again.rows] == [1, 2]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert again.state()["rows"] == again.rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


def test_without_tensorboard_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "keras-tdn\[tensorboard\]"'):
        training_callbacks(tmp_path, epochs=15, tensorboard=True)


def test_tensorboard_is_written(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra keras-tdn[tensorboard]")
    callbacks = training_callbacks(tmp_path, epochs=15, tensorboard=True, progress=False)
    fit(small_model(), callbacks)
    names = {path.parent.name for path in (tmp_path / "tensorboard").rglob("events*")}
    assert names == {"train", "validation"}


# === Checkpoints ===


def test_best_and_last(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new")
    figures = Figures(val_top1=[0.2, 0.7, math.nan, 0.7, 0.5])
    weights = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    model = small_model()
    fit(model, [figures, checkpoints, keep], epochs=5)
    assert (checkpoints.best, checkpoints.best_epoch) == (0.7, 2)
    for name, epoch in (("best", 2), ("last", 5)):
        load_checkpoint(model, tmp_path / "new" / f"{name}.weights.h5")
        for one, other in zip(model.get_weights(), weights[epoch - 1], strict=True):
            np.testing.assert_array_equal(one, other)
    again = Checkpoints(tmp_path / "new")
    again.restore(checkpoints.state())
    fit(model, [Figures(val_top1=[0.6]), again], epochs=1)
    assert (again.best, again.best_epoch) == (0.7, 2)


def test_checkpoints_hold_weights_and_nothing_else(tmp_path):
    """Keras would add the optimizer's state, and a file of the same weights would be another."""
    model, again = small_model(use_ema=True), small_model()
    # Without validation, whose figures are made with averages.
    model.fit(CLIPS, LABELS, callbacks=[Checkpoints(tmp_path)], verbose=0)
    file = tmp_path / "last.weights.h5"
    with h5py.File(file) as content:
        assert sorted(content) == ["layers", "vars"]
    load_checkpoint(again, file)
    write_weights_file(again, tmp_path / "again.weights.h5")
    assert (tmp_path / "again.weights.h5").read_bytes() == file.read_bytes()
    other = keras.Model(model.inputs, keras.layers.Dense(2, name="other")(model.output))
    with pytest.raises(ValueError, match=r"last.weights.h5' do not fit the model"):
        load_checkpoint(other, file)
    with pytest.raises(ValueError, match=r"no checkpoint .*best.weights.h5'.*validation videos"):
        load_checkpoint(model, tmp_path / "best.weights.h5")


def test_without_validation_there_is_no_best(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    small = small_model()
    small.fit(CLIPS, LABELS, callbacks=[checkpoints], verbose=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.weights.h5"]
    assert checkpoints.state() == {"best": None, "best_epoch": None}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_full_disk_leaves_the_file_before(tmp_path, share):
    """Wherever in the file there is no more room."""
    model = small_model()
    fit(model, [Checkpoints(tmp_path)], epochs=1)
    before = (tmp_path / "last.weights.h5").read_bytes()
    names = sorted(path.name for path in tmp_path.iterdir())
    message = r"last.weights.h5' could not be written .*--resume"
    with disk_of(int(share * len(before))), pytest.raises(OSError, match=message):
        fit(model, [Checkpoints(tmp_path)], epochs=1)
    assert (tmp_path / "last.weights.h5").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    fit(model, [Checkpoints(tmp_path)], epochs=1)
    assert (tmp_path / "last.weights.h5").read_bytes() != before


# === Averages ===


def test_evaluates_averages_and_gives_the_weights_back(tmp_path):
    seen, kept = [], []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((model.get_weights(), logs["val_loss"]))
    )

    class Average(keras.callbacks.Callback):
        """The average by its definition."""

        def on_train_batch_end(self, batch, logs=None):
            sync(model)
            weights = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
            old = kept or weights
            kept[:] = [0.75 * a + 0.25 * w for a, w in zip(old, weights, strict=True)]

    model = small_model(use_ema=True, ema_momentum=0.75)
    fit(model, [Average(), EvaluateAverages(), Checkpoints(tmp_path), look], epochs=1)
    weights, val_loss = seen[0]
    plain = small_model()
    plain.set_weights(weights)
    # Weights after training, not averages, are what training goes on with.
    assert plain.evaluate(CLIPS, LABELS, verbose=0)[0] != pytest.approx(val_loss, abs=1e-6)
    for weight, average in zip(plain.trainable_weights, kept, strict=True):
        weight.assign(average)
    # The average is taken in float32, in another order of operations.
    assert plain.evaluate(CLIPS, LABELS, verbose=0)[0] == pytest.approx(val_loss, rel=1e-5)
    load_checkpoint(model, tmp_path / "best.weights.h5")
    for weight, average in zip(model.trainable_weights, kept, strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-5)


def test_averages_do_not_change_training():
    plain, averaged = small_model(), small_model(use_ema=True)
    averaged.set_weights(plain.get_weights())
    losses = [
        fit(model, [EvaluateAverages()], epochs=3).history["loss"] for model in (plain, averaged)
    ]
    assert losses[0] == losses[1]


# === Ends ===


def test_stops_early_and_remembers():
    stop = StopEarly(patience=2)
    figures = [0.5, 0.4, 0.6, math.nan, 0.6, 0.9]
    history = fit(small_model(), [Figures(val_top1=figures), stop], epochs=6)
    assert len(history.epoch) == 5
    assert stop.stopped
    later = StopEarly(patience=2)
    later.restore({"best": 0.6, "waited": 1, "stopped": False})
    history = fit(small_model(), [Figures(val_top1=[0.6, 0.9]), later])
    assert len(history.epoch) == 1
    assert later.state() == {"best": 0.6, "waited": 2, "stopped": True}


def test_early_stopping_needs_something_to_watch():
    with pytest.raises(ValueError, match=r"watches 'val_top1', which is not measured.*'loss'"):
        small_model().fit(CLIPS, LABELS, callbacks=[StopEarly(1)], verbose=0)
    for patience in (0, 1.5, True):
        with pytest.raises(ValueError, match="waits a positive number of epochs"):
            StopEarly(patience)


def test_a_loss_that_is_no_number_ends_training(tmp_path):
    model = small_model(rate=1e30)
    fit(small_model(), [Checkpoints(tmp_path)], epochs=1)
    before = (tmp_path / "last.weights.h5").read_bytes()
    with pytest.raises(TrainingDivergedError, match=r"(loss|val_loss) is nan (in|at the end of) "):
        fit(model, [StopOnDivergence(), Checkpoints(tmp_path)], epochs=5)
    assert (tmp_path / "last.weights.h5").read_bytes() == before
    figures = Figures(val_loss=[0.5, math.inf])
    with pytest.raises(TrainingDivergedError, match="val_loss is inf at the end of epoch 2"):
        fit(small_model(), [figures, StopOnDivergence()], epochs=3)


def test_a_weight_that_the_last_step_spoils_replaces_nothing(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                kernel = self.model.layers[-1].kernel
                kernel.assign(keras.ops.full(kernel.shape, math.nan))

    model = small_model()
    fit(model, [Checkpoints(tmp_path)], epochs=1)
    before = (tmp_path / "last.weights.h5").read_bytes()
    callbacks = [Spoil(), StopOnDivergence(), Checkpoints(tmp_path)]
    with pytest.raises(
        TrainingDivergedError, match=r"weight .*kernel' is NaN.* epoch 1, at its end"
    ):
        model.fit(CLIPS, LABELS, batch_size=2, epochs=1, callbacks=callbacks, verbose=0)
    assert (tmp_path / "last.weights.h5").read_bytes() == before


def test_the_step_is_told():
    guard = StopOnDivergence()
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(6, {"loss": 0.5})
    guard.on_train_batch_begin(7)
    guard.on_train_batch_end(7, {"loss": math.nan})
    guard.on_train_batch_end(8, {"loss": math.inf})
    with pytest.raises(
        TrainingDivergedError, match=r"loss is nan in epoch 3, at step 8\..*lower learning rate"
    ):
        guard.on_train_batch_begin(9)


# === What it took ===


def test_waiting_is_from_the_end_of_a_step_to_the_next_batch(monkeypatch):
    positions = BatchPositions()
    timing = InputTiming(positions)
    now = [0.0]
    monkeypatch.setattr(reporting.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr("keras_tdn.data.dataset.order.time.perf_counter", lambda: now[0])

    def step(batch, in_epoch, made, end):
        now[0] = made
        positions.note(batch, 0)
        now[0] = end
        timing.on_train_batch_end(in_epoch)

    timing.on_train_begin()
    timing.on_epoch_begin(0)
    # The first compiles; the second was ready before, the third was not, and took 3 of 4 seconds.
    step(0, 0, made=5.0, end=10.0)
    step(1, 1, made=6.0, end=12.0)
    step(2, 2, made=15.0, end=16.0)
    # Ten seconds of validation.
    now[0] = 26.0
    timing.on_epoch_begin(1)
    step(3, 0, made=27.0, end=28.0)
    assert (timing.seconds, timing.waited) == (2 + 4 + 2, 3 + 1)
    assert timing.share_waited == 0.5
    later = InputTiming(positions)
    assert later.share_waited == 0
    later.restore(timing.state())
    assert later.share_waited == 0.5


def test_a_line_for_each_epoch(capsys):
    fit(small_model(), [Progress()], epochs=3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1/3  loss ")
    assert lines[0].endswith(" s left")
    assert "  val_top1 " in lines[2]
    assert "left" not in lines[2]


def test_a_bar_for_the_whole_training(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    # Two steps of the second of three epochs, of four steps each, then the third.
    bar = Progress(epochs=3, steps_per_epoch=4)
    model = small_model()
    model.fit(CLIPS[:4], LABELS[:4], batch_size=2, initial_epoch=1, epochs=2, callbacks=[bar],
              validation_data=(CLIPS, LABELS), verbose=0)  # fmt: skip
    assert bar._display.done == 8
    fit(model, [bar], initial_epoch=2, epochs=3)
    assert bar._display is None
    shown = capsys.readouterr().err
    assert "12/12" in shown
    assert "epoch 2/3, validating" in shown
    assert "loss 0." in shown
    assert shown.count("val_top1") == 2


# === All together ===


def test_order(tmp_path):
    state = TrainingState(tmp_path / "state", epochs=5, steps_per_epoch=4)
    callbacks = recipes.finetune_small.callbacks(tmp_path / "new", state=state, early_stopping=2)
    names = [type(callback).__name__ for callback in callbacks]
    # A loss that is NaN is noticed before anything is written; a state is saved when all others
    # know of the epoch.
    assert names == [
        *("AverageReplicas", "StopOnDivergence", "InputTiming", "EpochLog", "Checkpoints"),
        *("StopEarly", "Progress", "TrainingState"),
    ]
    members = [type(member).__name__ for member in state.members]
    assert members == ["InputTiming", "EpochLog", "Checkpoints", "StopEarly"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"output folder .* cannot be made"):
        training_callbacks(tmp_path / "file" / "out", epochs=15)


@pytest.mark.parametrize("arguments", [{"save_every": 0}, {"save_seconds": 0}])
def test_states_are_saved_now_and_then(tmp_path, arguments):
    with pytest.raises(ValueError, match="every so many batches or seconds, a positive number"):
        TrainingState(tmp_path, epochs=1, steps_per_epoch=1, **arguments)


def test_a_state_of_other_callbacks_or_models_is_refused(tmp_path):
    state = TrainingState(tmp_path, epochs=2, steps_per_epoch=4)
    state.positions.begin(0, None)
    state.positions.note(3, 8)
    fit(small_model(), [state], epochs=1)
    other = TrainingState(tmp_path, epochs=2, steps_per_epoch=4)
    other.members = (EpochLog(),)
    with pytest.raises(ValueError, match="was started without EpochLog"):
        next(other.spans())
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="optimizer has 6 variables, and here are 2"):
        fit(model, [TrainingState(tmp_path, epochs=2, steps_per_epoch=4)])


def test_a_training_is_at_work_in_its_steps_and_not_while_it_waits_for_them(tmp_path):
    state = TrainingState(tmp_path, epochs=2, steps_per_epoch=4, save_every=100)
    state.set_model(SimpleNamespace(steps_per_execution=2))
    state.positions.begin(0, None)
    assert not state.is_at_work()
    # On TensorFlow a step begins before it has its batches.
    state.on_train_batch_begin(0)
    state.positions.note(0, 2)
    assert not state.is_at_work()
    state.positions.note(1, 4)
    assert state.is_at_work()
    state.on_train_batch_end(1)
    assert not state.is_at_work()
    # The last step of an epoch is not two.
    state.positions.note(2, 6)
    state.positions.note(3, 8)
    state.on_train_batch_begin(3)
    assert state.is_at_work()


def test_spans_without_the_callback_are_noticed(tmp_path):
    spans = TrainingState(tmp_path, epochs=2, steps_per_epoch=4).spans()
    assert next(spans).fit_arguments == {"initial_epoch": 0, "epochs": 2, "steps_per_epoch": 4}
    with pytest.raises(
        ValueError, match=r"No epoch was trained\. Pass this TrainingState to `fit`"
    ):
        next(spans)
