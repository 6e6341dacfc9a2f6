"""A whole training in one call, and what is refused before it begins."""

import dataclasses
import json
import logging
import os
import shutil
import signal

import full_disk
import keras
import numpy as np
import pytest
import synthetic_videos

import keras_tdn
from keras_tdn.data import load_records
from keras_tdn.data.failures import TooManyFailuresError
from keras_tdn.data.records import Record, RecordList
from keras_tdn.files.locks import locked
from keras_tdn.pretrained import load_preset
from keras_tdn.pretrained.preset_config import PresetCard
from keras_tdn.pretrained.presets import read_preset
from keras_tdn.pretrained.weights_source import open_preset
from keras_tdn.training import distribution, recipes, train, training_result, training_run
from keras_tdn.training.callbacks import (
    Checkpoints,
    TrainingDivergedError,
    TrainingState,
)
from keras_tdn.training.run_folder import run_folder
from keras_tdn.training.training_checks import class_weights
from keras_tdn.training.training_run import make_deterministic

LABELS = ("jump", "run", "wave")
RECIPE = dataclasses.replace(
    recipes.finetune_small,
    batch_size=4,
    learning_rate=0.002,
    epochs=2,
    warmup_epochs=0.0,
    crop_size=32,
)
TINY = {"stage_depths": (1, 1, 1, 1), "width": 8, "num_segments": 2, "classes": 3}
# A network of its appearance path takes a third of the time to trace.
PLAIN = {"short_term": False, "long_term": False, "temporal_shift": False}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Ten to train on, of which the first is damaged, and three to validate with."""
    folder = tmp_path_factory.mktemp("videos")
    items = []
    for number in range(13):
        content = synthetic_videos.encode_video(10 + number, size=(32, 48), first=9 * number)
        path = folder / f"{number}.mp4"
        path.write_bytes(b"no video" if number == 0 else content)
        items.append((str(path), LABELS[number % 3]))
    return load_records(items[:10], labels=LABELS), load_records(items[10:], labels=LABELS)


def build(seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    arguments = {**TINY, **PLAIN, "input_shape": (10, 32, 32, 3), **arguments}
    return keras_tdn.TDNResNet(**arguments)


def run(videos, output, recipe=RECIPE, model=None, **arguments):
    arguments.setdefault("progress", False)
    # Less work than tracing, for so few steps.
    arguments.setdefault("compile_arguments", {"run_eagerly": True})
    return train(model or build(), *videos, recipe, output, **arguments)


# === To the end ===


@pytest.fixture(scope="module")
def finished(videos, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished") / "run"
    model = build(labels=LABELS)
    recipe = dataclasses.replace(RECIPE, ema_momentum=0.8)
    card = PresetCard(dataset="mine", licence="CC0-1.0")
    result = run(videos, output, recipe, model, class_weight="balanced", card=card)
    return model, recipe, result


def test_result(videos, finished):
    _, recipe, result = finished
    assert result.epochs == len(result.history) == recipe.epochs
    assert not result.stopped_early
    assert result.num_validation == 3
    assert [failure.path for failure in result.failures] == [videos[0][0].path]
    best = max(row["val_top1"] for row in result.history)
    assert result.top1 == best == result.history[result.epoch - 1]["val_top1"]
    # Of three classes, the right one is always among the first five.
    assert result.top5 == 1.0
    assert 0 <= result.share_waited <= 1
    assert result.seconds > 0
    names = {path.name for path in result.output.iterdir()}
    assert names == {
        *("run.json", "result.json", "log.csv", "failures.jsonl", "state", "preset"),
        *("best.weights.h5", "last.weights.h5"),
    }


def test_preset_is_the_model_of_the_best_epoch(videos, finished):
    model, recipe, result = finished
    preset = load_preset(result.preset)
    assert preset.labels == LABELS
    assert preset.clip_spec == model.clip_spec
    clips, _ = next(iter(recipe.make_dataset(videos[1], model.clip_spec, training=False)))
    for weight, expected in zip(preset.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    # Two compilations of one network need not add up in one order.
    expected = model.predict(clips, verbose=0)
    np.testing.assert_allclose(preset.predict(clips, verbose=0), expected, rtol=1e-6)
    preset.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    clips = recipe.make_dataset(videos[1], model.clip_spec, training=False)
    loss, accuracy = preset.evaluate(clips, verbose=0)
    assert accuracy == result.top1
    # In the graph, sums are taken in another order than in the eager steps of `fit`.
    assert loss == pytest.approx(result.history[result.epoch - 1]["val_loss"], rel=1e-5)
    card = read_preset(open_preset(result.preset))[0].card
    assert (card.dataset, card.licence) == ("mine", "CC0-1.0")
    assert card.source.endswith("on 10 videos; accuracy measured on 3 validation videos.")
    assert card.measured[0].top1 == pytest.approx(100 * result.top1)


def test_a_finished_training_is_given_back(videos, finished, monkeypatch, caplog):
    _, recipe, result = finished
    monkeypatch.setattr(training_run, "TrainingState", None)
    model = build(seed=1, labels=LABELS)
    with caplog.at_level(logging.INFO, "keras_tdn"):
        again = run(videos, result.output, recipe, model, resume=True, class_weight="balanced")
    assert again == result
    assert "is done; nothing was trained" in caplog.text
    for one, other in zip(
        model.get_weights(), load_preset(result.preset).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_it_was_begun_with_is_asked_for(videos, finished, tmp_path, caplog):
    _, recipe, result = finished
    arguments = {"resume": True, "class_weight": "balanced"}
    with pytest.raises(ValueError, match=r"There is a training in .*result.json.*--resume"):
        run(videos, result.output, recipe, build(labels=LABELS))
    other = dataclasses.replace(recipe, learning_rate=0.1, epochs=9)
    with pytest.raises(
        ValueError,
        match=r"started with other arguments: recipe.epochs 2, now 9; "
        r"recipe.learning_rate 0.002, now 0.1; seed 0, now 7\. Pass those",
    ):
        run(videos, result.output, other, build(labels=LABELS), seed=7, **arguments)
    fewer = videos[0][1:], videos[1]
    with pytest.raises(ValueError, match=r"train_records.sha256 .*train_records.videos 10, now"):
        run(fewer, result.output, recipe, build(labels=LABELS), **arguments)
    with pytest.raises(ValueError, match=r"model.width 8, now 16"):
        run(videos, result.output, recipe, build(labels=LABELS, width=16), **arguments)
    # What does not change the outcome is not asked for; what may in the last bits is told.
    content = json.loads((result.output / "run.json").read_text())
    content["versions"]["keras"] = "3.0"
    (result.output / "run.json").write_text(json.dumps(content))
    more = {"dataset_arguments": {"num_parallel_calls": 1}, "save_every": 3}
    assert run(videos, result.output, recipe, build(labels=LABELS), **arguments, **more) == result
    assert "versions.keras '3.0'" in caplog.text


def test_videos_may_be_moved(videos, finished, tmp_path):
    _, recipe, result = finished
    folder = os.path.dirname(videos[0][0].path)
    os.symlink(folder, tmp_path / "moved")
    moved = [
        RecordList(
            [
                dataclasses.replace(record, path=record.path.replace(folder, f"{tmp_path}/moved"))
                for record in records
            ],
            LABELS,
        )
        for records in videos
    ]
    arguments = {"resume": True, "class_weight": "balanced"}
    assert run(moved, result.output, recipe, build(labels=LABELS), **arguments) == result


# === Interrupted ===


@pytest.mark.slow
def test_a_signal_saves_and_a_full_disk_loses_nothing(videos, tmp_path, monkeypatch, caplog):
    """One training that is interrupted, runs out of disk, and ends as one that was not."""
    expected = run(videos, tmp_path / "whole", early_stopping=5)
    folder = tmp_path / "run"
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "on_epoch_begin", send_signal)
        with pytest.raises(KeyboardInterrupt):
            run(videos, folder, resume=True, early_stopping=5)
    assert "Saving in front of the next step" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is before
    state = TrainingState(folder / "state", epochs=2, steps_per_epoch=2)
    assert next(state.spans()).fit_arguments["steps_per_epoch"] == 1
    with monkeypatch.context() as patch, full_disk.disk_of():
        patch.setattr(Checkpoints, "on_epoch_end", fill_disk)
        with pytest.raises(OSError, match=r"state.npz' could not be written \(File too large"):
            run(videos, folder, resume=True, early_stopping=5)
    # The state in front of the end of the epoch is there, and so are the weights of that.
    assert next(state.spans()).fit_arguments["steps_per_epoch"] == 1
    assert (folder / "last.weights.h5").exists()
    with monkeypatch.context() as patch, full_disk.disk_of():
        patch.setattr(training_result, "save_preset", without_room)
        with pytest.raises(OSError, match=r"run/preset' could not be written .*--resume"):
            run(videos, folder, resume=True, early_stopping=5)
    assert not (folder / "preset").exists()
    assert not (folder / "result.json").exists()
    result = run(videos, folder, resume=True, early_stopping=5)
    assert result.history == expected.history
    assert load_preset(result.preset).labels == LABELS
    for name in ("best.weights.h5", "last.weights.h5"):
        assert (folder / name).read_bytes() == (expected.output / name).read_bytes()


def send_signal(self, epoch, logs=None, original=TrainingState.on_epoch_begin):
    original(self, epoch, logs)
    # Behind the first step, so that there is something to save.
    begin = type(self).on_train_batch_begin

    def interrupted(batch, logs=None):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        begin(self, batch, logs)

    self.on_train_batch_begin = interrupted


def fill_disk(self, epoch, logs=None, original=Checkpoints.on_epoch_end):
    original(self, epoch, logs)
    full_disk.limit(50_000)


def without_room(*arguments, original=training_result.save_preset, **options):
    full_disk.limit(50_000)
    return original(*arguments, **options)


def test_what_was_trained_before_the_loss_was_no_number_is_kept(videos, tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30, global_clipnorm=None)
    with pytest.raises(TrainingDivergedError, match=r"epoch 1.*kept.*lower learning rate"):
        run(videos, tmp_path / "run", recipe, save_every=1)
    state = TrainingState(tmp_path / "run" / "state", epochs=2, steps_per_epoch=2)
    assert next(state.spans()).fit_arguments["initial_epoch"] == 0
    # A state is never saved of weights that are no numbers.
    for path in (tmp_path / "run" / "state").glob("*.npz"):
        with np.load(path) as content:
            assert all(
                np.isfinite(content[name]).all() for name in content if name.startswith("model")
            )


def test_too_many_bad_videos_are_told(tmp_path, videos):
    broken = []
    for number in range(8):
        (tmp_path / f"{number}.mp4").write_bytes(b"no video")
        broken.append((str(tmp_path / f"{number}.mp4"), LABELS[number % 3]))
    records = load_records(broken, labels=LABELS)
    with pytest.raises(TooManyFailuresError, match=r"^8 of the 8 records seen .* cannot be read"):
        run((records, videos[1]), tmp_path / "run")
    if keras.backend.backend() == "tensorflow":
        # What there is is the first state: to begin anew, not to go on with other videos.
        with pytest.raises(ValueError, match="There is a training in"):
            run(videos, tmp_path / "run")
    else:
        # Keras asks for a batch before it begins, so that there is nothing yet to lose.
        assert run(videos, tmp_path / "run").history


# === Refused ===


def test_records_are_checked(videos, tmp_path):
    good, validation = videos
    unlabelled = RecordList([Record("a.mp4", None), Record("b.mp4", 1, index=1)], LABELS)
    beyond = RecordList([Record("a.mp4", 1), Record("b.mp4", 7, index=1)], num_classes=8)
    alone = RecordList([Record(f"{i}.mp4", 1, index=i) for i in range(5)], LABELS)
    other = RecordList(list(validation), ("jump", "run", "swim"))
    for records, others, message in (
        ([], validation, "Training takes a RecordList with at least one.*Received: \\[]"),
        (RecordList([]), validation, "Training takes .* Received: <RecordList of 0 records"),
        (good, RecordList([]), "Validation takes .* or None to go without.*<RecordList of 0"),
        (unlabelled, validation, "Training needs .* 1 of 2 have none, .*'a.mp4'.*last column"),
        (good, unlabelled, "Validation needs .* 1 of 2 have none"),
        (
            beyond,
            validation,
            "3 classes have no place for label 7, which 'b.mp4' has. Training takes labels from 0 "
            "to 2, and 1 of 2 records have others: 'b.mp4' has 7. Correct the list, or have 8 "
            "classes or more",
        ),
        (good, beyond, "Validation takes labels from 0 to 2, and 1 of 2 records have others"),
        (alone, validation, "at least two classes. Received: 5 videos, all of class 1"),
        (good[:3], validation, "A batch of 4 clips needs as many records. Received: 3"),
        (good, other, "class names of the validation videos are not those of the training videos"
         ".*class 2 is 'swim' and 'wave'. Pass the same `labels`"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            run((records, others), tmp_path / "run")
    with pytest.raises(ValueError, match="the training videos are not those of the model"):
        run(videos, tmp_path / "run", model=build(labels=("a", "b", "c")))
    assert not (tmp_path / "run").exists()


def test_arguments_are_checked(videos, tmp_path):
    mixed = dataclasses.replace(RECIPE, mixup_alpha=0.2)
    slow = dataclasses.replace(RECIPE, gradient_accumulation_steps=50)
    other = {"optimizer": keras.optimizers.SGD(gradient_accumulation_steps=50)}
    for arguments, message in (
        ({"recipe": slow}, "training of 2 epochs of 2 batches has 4: it would change no weight"),
        ({"compile_arguments": other}, "gradients of 50 batches make one step"),
        ({"model": build(include_top=False)}, "with its classifier.*include_top=False"),
        ({"model": keras.Sequential()}, "trains a TDNResNet .* Received: model=Sequential"),
        ({"recipe": "finetune_small"}, "`recipe` is a Recipe"),
        ({"early_stopping": 0}, "waits a positive number of epochs"),
        ({"save_every": 0}, "every so many batches"),
        ({"class_weight": "fair"}, "Class weights are 'balanced', or a mapping"),
        ({"recipe": mixed, "class_weight": "balanced"}, "mixed of two classes has no class weight"),
    ):
        with pytest.raises(ValueError, match=message):
            run(videos, tmp_path / "run", **arguments)
    with pytest.raises(ValueError, match=r"Early stopping looks at validation videos"):
        run((videos[0], None), tmp_path / "run", early_stopping=2)


def test_output_is_checked(videos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"output folder .*/file/run' cannot be written to: Not a"):
        run(videos, tmp_path / "file" / "run")
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder), pytest.raises(ValueError, match="Another process is training in"):
        run(videos, folder)
    (folder / "best.weights.h5").write_text("")
    with pytest.raises(ValueError, match=r"has no run.json, which .* but best.weights.h5"):
        run(videos, folder, resume=True)
    for content in ("{", "[]"):
        (folder / "run.json").write_text(content)
        with pytest.raises(ValueError, match=r"run.json' cannot be read .* Start anew"):
            run(videos, folder, resume=True)


def test_shared_videos_leave_a_warning(videos, caplog):
    training_run.check_training(
        build(), videos[0], RecordList([*videos[1], *videos[0][1:3]], LABELS), RECIPE, None
    )
    assert "2 of the 5 validation videos are trained on as well" in caplog.text


def test_classes_without_a_video_leave_a_warning(videos, caplog):
    training, validation = videos
    some = RecordList([record for record in training if record.label != 1], LABELS)
    training_run.check_training(build(), some, validation, RECIPE, None)
    assert "1 of the model's 3 classes have no training video, so" in caplog.text
    assert "cannot learn them: 1 (run). Are the labels those of this list?" in caplog.text
    caplog.clear()
    unnamed = RecordList(list(training), num_classes=3)
    training_run.check_training(build(classes=400), unnamed, None, RECIPE, None)
    assert "397 of the model's 400 classes have no" in caplog.text
    assert "3, 4, 5 and 394 more" in caplog.text
    caplog.clear()
    training_run.check_training(build(), training, validation, RECIPE, None)
    assert caplog.text == ""


def test_crops_of_another_size_leave_a_warning(videos, caplog):
    model = build(input_shape=(10, None, None, 3))
    training_run.check_training(model, *videos, RECIPE, None)
    assert "cut to 224x224 pixels, and the recipe is meant for 32" in caplog.text
    caplog.clear()
    model.clip_spec = RECIPE.clip_spec_for(model)
    training_run.check_training(model, *videos, RECIPE, None)
    assert caplog.text == ""


def test_one_hot_labels_are_as_wide_as_the_model(videos, tmp_path):
    """Both lists lack the last classes of the model, and not the same ones."""
    training = RecordList([record for record in videos[0] if record.label < 2])
    validation = RecordList([record for record in videos[1] if record.label < 1])
    assert (training.num_classes, validation.num_classes) == (2, 1)
    recipe = dataclasses.replace(RECIPE, label_smoothing=0.1, epochs=1)
    result = run((training, validation), tmp_path / "run", recipe)
    assert len(result.history) == 1


def test_a_training_without_its_state_is_not_begun_anew(videos, finished, tmp_path):
    model, recipe, result = finished
    folder = tmp_path / "run"
    shutil.copytree(result.output, folder)
    for name in ("state", "preset"):
        shutil.rmtree(folder / name)
    (folder / "result.json").unlink()
    best = (folder / "best.weights.h5").read_bytes()
    with pytest.raises(ValueError, match=r"cannot be resumed: its folder 'state' is gone"):
        run(videos, folder, recipe, model, class_weight="balanced", resume=True)
    assert (folder / "best.weights.h5").read_bytes() == best


def test_hidden_folders_of_others_stay(tmp_path):
    for name in (".cache.tmp", ".preset.abc.tmp"):
        (tmp_path / name).mkdir()
    with run_folder(tmp_path, {}, False):
        names = [path.name for path in tmp_path.iterdir()]
        assert ".cache.tmp" in names
        assert ".preset.abc.tmp" not in names


def test_several_processes_and_devices_are_checked(videos, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(distribution, "num_joined_processes", lambda: 2)
        with pytest.raises(ValueError, match=r"are for one process.*Received: 2 processes"):
            run(videos, tmp_path / "run")
    for devices, message in (
        (2, "Received: 3 validation videos and batches of 4"),
        (3, "divided among 3 devices"),
    ):
        monkeypatch.setattr(distribution, "devices_of_an_array", lambda devices=devices: devices)
        with pytest.raises(ValueError, match=message):
            run(videos, tmp_path / "run")
    monkeypatch.undo()
    # Replicas of TensorFlow's.
    monkeypatch.setattr(distribution, "num_replicas", lambda: 3)
    with pytest.raises(ValueError, match="divided among 3 devices"):
        run(videos, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_class_weights():
    records = RecordList([Record(f"{i}.mp4", int(i > 3), index=i) for i in range(5)])
    assert class_weights(records, None, 3) is None
    # Class 2 has no videos, and no weight that would matter.
    assert class_weights(records, "balanced", 3) == {0: 0.625, 1: 2.5, 2: 1.0}
    assert class_weights(records, {1: 2}, 3) == {0: 1.0, 1: 2.0, 2: 1.0}
    for wrong in ({3: 1.0}, {0: 0.0}, {0: float("nan")}, {"run": 2.0}, [1.0, 2.0]):
        with pytest.raises(ValueError, match="mapping of class indices from 0 to 2 to positive"):
            class_weights(records, wrong, 3)


def test_deterministic_on_jax_is_the_environments(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="XLA_FLAGS=--xla_gpu_deterministic_ops=true"):
        make_deterministic(0)
