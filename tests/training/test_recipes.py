"""Recipes: the published numbers, the linear rule, what is compiled."""

import dataclasses

import keras
import numpy as np
import pytest
from synthetic_videos import encode_video

from keras_tdn import Normalization, TDNResNet
from keras_tdn.data import load_records
from keras_tdn.training import CosineDecay, CoupledSGD, recipes

SMALL = {"stage_depths": (1, 1, 1, 1), "width": 16, "num_segments": 2}
ALL = list(recipes.RECIPES.values())


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(5):
        (folder / f"{number}.mp4").write_bytes(encode_video(12))
    lines = [f"{number}.mp4 {label}" for number, label in enumerate((0, 1, 2, 1, 0))]
    (folder / "list.txt").write_text("\n".join(lines))
    return load_records(folder / "list.txt", labels=["push left", "push right", "still"])


def test_published_numbers():
    # The authors' README: learning rate, drops, epochs, clips per GPU on 8 GPUs, decay, clipping.
    something, kinetics = recipes.something_something, recipes.kinetics400
    assert (something.learning_rate, something.batch_size, something.epochs) == (0.01, 8 * 8, 60)
    assert (something.schedule.epochs, something.weight_decay) == ((30, 45, 55), 5e-4)
    assert (kinetics.learning_rate, kinetics.batch_size, kinetics.epochs) == (0.02, 8 * 16, 100)
    assert (kinetics.schedule.epochs, kinetics.weight_decay) == ((50, 75, 90), 1e-4)
    for recipe in (something, kinetics):
        assert (recipe.momentum, recipe.global_clipnorm, recipe.dropout_rate) == (0.9, 20, 0.5)
        assert (recipe.bias_multiplier, recipe.head_multiplier) == (2, 1)


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_linear_rule(recipe):
    half = recipe.for_batch_size(recipe.batch_size // 2)
    assert half.learning_rate == pytest.approx(recipe.learning_rate / 2)
    changed = {"batch_size", "learning_rate"}
    for field in dataclasses.fields(recipe):
        same = getattr(half, field.name) == getattr(recipe, field.name)
        assert same == (field.name not in changed)


def test_compile_gives_optimizer_loss_and_metrics():
    recipe = dataclasses.replace(
        recipes.finetune_small,
        head_multiplier=5.0,
        ema_momentum=0.9,
        gradient_accumulation_steps=2,
        freeze_until="stage3",
        partial_batch_norm=True,
    )
    model = TDNResNet(**SMALL, classes=6)
    recipe.compile(model, 10, jit_compile=False)
    optimizer = model.optimizer
    assert isinstance(optimizer, CoupledSGD)
    assert (optimizer.head_multiplier, optimizer.use_ema, optimizer.ema_momentum) == (5, True, 0.9)
    assert optimizer.gradient_accumulation_steps == 2
    # Half an epoch of warm-up. Keras counts batches, not updates.
    assert optimizer._learning_rate.steps == 5
    trained = {variable.path.split("/")[0] for variable in model.trainable_variables}
    assert all(name.startswith(("stage3", "stage4", "classifier")) for name in trained)
    assert not any("norm" in name for name in trained)
    model.evaluate(np.zeros((2, 10, 32, 32, 3), "uint8"), np.array([0, 5]), verbose=0)
    assert [metric.name for metric in model._compile_metrics.metrics] == ["top1", "top5"]
    few = TDNResNet(**SMALL, classes=5)
    recipe.compile(few, 10)
    few.evaluate(np.zeros((2, 10, 32, 32, 3), "uint8"), np.array([0, 4]), verbose=0)
    assert [metric.name for metric in few._compile_metrics.metrics] == ["top1"]


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_logits(activation, smoothing):
    recipe = dataclasses.replace(recipes.finetune_small, label_smoothing=smoothing)
    model = TDNResNet(**SMALL, classes=3, classifier_activation=activation)
    recipe.compile(model, 10)
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 0.2, 0.1]], "float32")
    labels = np.array([0, 2])
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    outputs = np.exp(log_softmax) if activation else logits
    given = np.eye(3, dtype="float32")[labels] if recipe.one_hot else labels
    loss = model.loss(keras.ops.convert_to_tensor(given), keras.ops.convert_to_tensor(outputs))
    expected = -np.mean(np.sum(targets * log_softmax, axis=1))
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


def test_data_set_has_the_batch_and_the_augmentation(records):
    spec = TDNResNet(**SMALL, classes=3, input_shape=(10, 32, 32, 3)).clip_spec
    plain = recipes.finetune_small.for_batch_size(2)
    clips, labels = next(iter(plain.make_dataset(records, spec, training=True)))
    assert clips.shape == (2, 10, 32, 32, 3)
    assert clips.dtype.name == "uint8"
    assert labels.shape == (2,)
    mixed = dataclasses.replace(plain, mixup_alpha=0.4, cutmix_alpha=1.0)
    kinds = set()
    for clips, labels in mixed.make_dataset(records, spec, training=True).take(12):
        assert labels.shape == (2, 3)
        np.testing.assert_allclose(np.sum(labels, axis=1), 1, rtol=1e-5)
        kinds.add(bool(np.any(clips.numpy() % 1)))
    # Blends have fractions of levels, cut windows have not.
    assert kinds == {True, False}
    clips, labels = next(iter(mixed.make_dataset(records, spec, training=False)))
    assert set(np.unique(labels)) == {0, 1}
    again = next(iter(plain.make_dataset(records, spec, training=False, batch_size=5)))
    assert again[0].shape[0] == 5


def test_without_flips_classes_of_left_and_right_stay(records):
    spec = TDNResNet(**SMALL, classes=3, input_shape=(10, 32, 32, 3)).clip_spec
    for flip in (True, False):
        recipe = dataclasses.replace(recipes.finetune_small, flip=flip, batch_size=5)
        data = recipe.make_dataset(records, spec, training=True, seed=3)
        counts = {tuple(np.bincount(labels, minlength=3)) for _, labels in data.take(6)}
        # A mirrored "push left" is a "push right": with flips the counts of an epoch change.
        assert (counts == {(2, 2, 1)}) == (not flip)


def test_clips_are_cut_in_the_recipe_s_crops():
    recipe = recipes.finetune_small
    model = TDNResNet(**{**SMALL, "input_shape": (10, None, None, 3)}, classes=3)
    assert model.clip_spec.height == 224
    statistics = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    model.clip_spec = dataclasses.replace(model.clip_spec, normalization=statistics)
    spec = recipe.clip_spec_for(model)
    assert (spec.num_segments, spec.frames_per_segment) == (2, 5)
    assert (spec.height, spec.width, spec.short_side) == (112, 112, 128)
    assert spec.normalization == statistics
    # A size that the model was built for stays.
    fixed = TDNResNet(**{**SMALL, "input_shape": (10, 32, 48, 3)}, classes=3)
    assert recipe.clip_spec_for(fixed) == fixed.clip_spec


def test_steps_per_epoch(records):
    assert recipes.finetune_small.for_batch_size(2).steps_per_epoch(records) == 2
    with pytest.raises(ValueError, match=r"batch of 10 clips.*Received: 5.*for_batch_size\(5\)"):
        recipes.finetune_small.steps_per_epoch(records)


def test_models_that_are_not_classifiers_are_refused():
    for arguments in ({"include_top": False, "pooling": "avg"}, {"classifier_activation": "relu"}):
        with pytest.raises(ValueError, match="softmax or with logits"):
            recipes.finetune_small.compile(TDNResNet(**SMALL, classes=3, **arguments), 10)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "`epochs` is an integer of at least 1"),
        ("batch_size", 2.0, "`batch_size` is an integer"),
        ("crop_size", 16, "at least 32"),
        ("learning_rate", 0.0, "positive"),
        ("learning_rate", float("nan"), "positive"),
        ("dropout_rate", 1.0, "below 1"),
        ("label_smoothing", -0.1, "at least 0"),
        ("mixup_alpha", -1, "at least 0"),
        ("ema_momentum", 1.0, "below 1"),
        ("warmup_epochs", 15, "shorter than the training"),
        ("freeze_until", "layer3", "stage4, classifier"),
        ("gradient_accumulation_steps", 1, "at least 2"),
        ("schedule", "cosine", "StepDecay"),
    ],
)
def test_bad_fields(field, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(recipes.finetune_small, **{field: value})


def test_cosine_is_a_schedule():
    recipe = dataclasses.replace(recipes.kinetics400, schedule=CosineDecay(), warmup_epochs=2)
    rates = recipe.learning_rates(10)
    assert float(rates(20)) == pytest.approx(0.02)
    assert float(rates(1000)) == pytest.approx(1e-5, rel=1e-2)
