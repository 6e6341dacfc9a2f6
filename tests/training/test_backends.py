"""What Keras' engines do with a TDN, on every backend: averages, accumulation, weights, XLA.

Each against an independent expectation: NumPy, or another way to the same numbers.
"""

import dataclasses

import keras
import numpy as np
import pytest

from keras_tdn import TDNResNet
from keras_tdn.data import load_records
from keras_tdn.training import CoupledSGD, freeze_batch_norms, recipes
from keras_tdn.training.callbacks import EvaluateAverages

BACKEND = keras.backend.backend()
CLASSES = 3
BATCH = 6
# Below the norms of the gradients here.
CLIPNORM = 0.1
# Sums over a batch, in float32 and in another order.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}


def small(**arguments):
    return TDNResNet(
        (1, 1, 1, 1),
        width=16,
        classes=CLASSES,
        num_segments=2,
        input_shape=(10, 32, 32, 3),
        dropout_rate=0.0,
        **arguments,
    )


def compiled(model, optimizer, graph=False, **arguments):
    # JAX would compile each operation by itself; TensorFlow and PyTorch start at once.
    how = {"run_eagerly": BACKEND != "jax" and not graph, "jit_compile": BACKEND == "jax"}
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, **{"loss": loss, **how, **arguments})
    return model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 256, (BATCH, 10, 32, 32, 3)).astype("uint8")
    return clips, rng.permutation(BATCH).astype("int32") % CLASSES


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def flat(variables):
    return np.concatenate([array.ravel() for array in arrays(variables)]).astype("float64")


def assert_close(ones, others, **tolerance):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_allclose(one, other, **(tolerance or TOLERANCE))


def scores_of(model, clips):
    return np.float64(keras.ops.convert_to_numpy(model(clips, training=False)))


# === Averaged weights ===


def test_evaluation_uses_the_averages_of_the_weights():
    momentum = 0.6
    optimizer = CoupledSGD(0.05, use_ema=True, ema_momentum=momentum)
    model = compiled(small(), optimizer)
    average = None
    for step in range(3):
        model.train_on_batch(*batch(step))
        weights = arrays(model.trainable_variables)
        # Keras starts from the weights after the first step.
        average = (
            weights
            if average is None
            else [
                momentum * old + (1 - momentum) * new
                for old, new in zip(average, weights, strict=True)
            ]
        )
    before = arrays(model.variables)
    clips, labels = batch(9)
    loss = model.evaluate(
        clips, labels, batch_size=BATCH, verbose=0, callbacks=[EvaluateAverages()]
    )
    # Training goes on from where it was, to the bit.
    assert_close(arrays(model.variables), before, rtol=0)
    for variable, value in zip(model.trainable_variables, average, strict=True):
        variable.assign(value)
    scores = scores_of(model, clips)
    assert loss == pytest.approx(-np.log(scores[np.arange(BATCH), labels]).mean(), rel=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    plain = -np.log(scores_of(model, clips)[np.arange(BATCH), labels]).mean()
    assert abs(loss - plain) > 1e-3


# === Accumulation ===


@pytest.mark.slow
def test_two_half_batches_are_one_batch():
    """With frozen norms, whose statistics would be those of half a batch."""
    clips, labels = batch()
    whole, halves = small(), small()
    for model, steps in ((whole, None), (halves, 2)):
        freeze_batch_norms(model)
        model.structure.stem.norm.trainable = False
        optimizer = CoupledSGD(
            0.05,
            coupled_weight_decay=0.0,
            global_clipnorm=CLIPNORM,
            gradient_accumulation_steps=steps,
        )
        # In a graph, where the condition is a function of its own.
        compiled(model, optimizer, graph=steps is not None)
    halves.set_weights(whole.get_weights())
    start = flat(whole.trainable_variables)
    for step in range(2):
        whole.train_on_batch(clips, labels)
        before = flat(halves.trainable_variables)
        halves.train_on_batch(clips[: BATCH // 2], labels[: BATCH // 2])
        np.testing.assert_array_equal(flat(halves.trainable_variables), before)
        halves.train_on_batch(clips[BATCH // 2 :], labels[BATCH // 2 :])
        if step == 0:
            # The gradients of both halves together were clipped.
            norm = np.linalg.norm(flat(halves.optimizer.momentums))
            assert norm == pytest.approx(CLIPNORM, rel=1e-4)
    for one, other, origin in (
        (whole.trainable_variables, halves.trainable_variables, start),
        (whole.optimizer.momentums, halves.optimizer.momentums, 0.0),
    ):
        apart = np.linalg.norm(flat(one) - flat(other))
        assert apart < 1e-4 * np.linalg.norm(flat(one) - origin)


def test_the_learning_rate_counts_batches_while_gradients_accumulate():
    """A drop after the first of two epochs of four batches is one behind two updates."""
    recipe = dataclasses.replace(
        recipes.something_something,
        schedule=dataclasses.replace(recipes.something_something.schedule, epochs=(1,)),
        learning_rate=0.5,
        epochs=2,
        momentum=0.0,
        weight_decay=0.0,
        global_clipnorm=None,
        gradient_accumulation_steps=2,
    )
    optimizer = recipe.optimizer(steps_per_epoch=4)
    variable = keras.Variable(np.float32([0.0]), name="kernel")
    values = []
    for _ in range(8):
        gradients = [keras.ops.ones(1)]
        if BACKEND == "jax":
            optimizer.build([variable])
        optimizer.apply(gradients, [variable])
        values.append(float(keras.ops.convert_to_numpy(variable)[0]))
    expected = [0, -0.5, -0.5, -1, -1, -1.05, -1.05, -1.1]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


# === Losses ===


def test_class_weights_in_fit_are_weights_of_the_clips():
    clips, labels = batch()
    factors = {0: 0.25, 1: 1.0, 2: 3.0}
    model = compiled(small(), CoupledSGD(0.05))
    weights = model.get_weights()
    arguments = {"batch_size": BATCH, "verbose": 0}
    loss = model.fit(clips, labels, class_weight=factors, **arguments).history["loss"][0]
    by_class = model.get_weights()
    again = compiled(small(), CoupledSGD(0.05))
    again.set_weights(weights)
    per_clip = np.float32([factors[label] for label in labels])
    other = again.fit(clips, labels, sample_weight=per_clip, **arguments).history["loss"][0]
    assert loss == pytest.approx(other, rel=1e-6)
    assert_close(by_class, again.get_weights())
    # And of what they are factors: the cross-entropy in training, of batch norms' own statistics.
    again.set_weights(weights)
    scores = np.float64(keras.ops.convert_to_numpy(again(clips, training=True)))
    entropy = -np.log(scores[np.arange(BATCH), labels])
    assert loss == pytest.approx(np.mean(entropy * per_clip), rel=1e-4)
    assert abs(loss - entropy.mean()) > 1e-2


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Folders of frames, each of one colour."""
    tf = pytest.importorskip("tensorflow")
    root = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    rows = []
    for video in range(BATCH):
        folder = root / str(video)
        folder.mkdir()
        for frame in range(12):
            picture = np.full((40, 48, 3), rng.integers(0, 256, 3), np.uint8)
            (folder / f"{frame:03d}.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
        rows.append((str(folder), video % CLASSES))
    return load_records(rows, num_classes=CLASSES)


@pytest.mark.parametrize(
    "changes",
    [{"label_smoothing": 0.3}, {"mixup_alpha": 0.8}, {"label_smoothing": 0.3, "mixup_alpha": 0.8}],
    ids=["smoothed", "mixed", "both"],
)
def test_loss_of_smoothed_and_mixed_labels(records, changes):
    recipe = dataclasses.replace(recipes.finetune_small, **changes).for_batch_size(BATCH)
    model = small()
    how = {"run_eagerly": BACKEND != "jax", "jit_compile": BACKEND == "jax"}
    recipe.compile(model, 1, **how)
    # Labels are ones and zeros, unless clips are mixed.
    dataset = recipe.make_dataset(records, model.clip_spec, training=True, seed=3).take(1)
    clips, labels = (tensor.numpy() for tensor in next(iter(dataset)))
    assert labels.shape == (BATCH, CLASSES)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    assert np.any((labels > 0.01) & (labels < 0.99)) == ("mixup_alpha" in changes)
    if "mixup_alpha" in changes:
        assert_mixed(records, recipe, model.clip_spec, clips, labels)
    smoothing = changes.get("label_smoothing", 0.0)
    targets = labels * (1 - smoothing) + smoothing / CLASSES
    expected = -(targets * np.log(scores_of(model, clips))).sum(axis=1).mean()
    loss = model.evaluate(clips, labels, batch_size=BATCH, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(expected, rel=1e-5)


def assert_mixed(records, recipe, spec, clips, labels):
    """Each clip is one of the batch times a share plus another times the rest, as its label is."""
    plain = dataclasses.replace(recipe, mixup_alpha=0.0)
    dataset = plain.make_dataset(records, spec, training=True, seed=3, one_hot=True)
    sources, of_sources = (tensor.numpy() for tensor in next(iter(dataset)))
    for clip, label, source, own in zip(clips, labels, sources, of_sources, strict=True):
        errors = []
        for other, foreign in zip(sources, of_sources, strict=True):
            difference = source.astype(float) - other
            if not np.any(difference):
                continue
            share = np.sum((clip - other) * difference) / np.sum(difference**2)
            errors.append(
                max(
                    np.abs(share * source + (1 - share) * other - clip).max() / 255,
                    np.abs(share * own + (1 - share) * foreign - label).max(),
                )
            )
        assert min(errors) < 1e-3


# === XLA ===


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX compiles with XLA always, PyTorch never")
@pytest.mark.slow
def test_xla_gives_the_same_step():
    clips, labels = batch()
    # Without the short-term module, which has no operation that the rest has not: XLA takes long.
    plain, fused = small(short_term=False), small(short_term=False)
    compiled(plain, CoupledSGD(0.05))
    compiled(fused, CoupledSGD(0.05), run_eagerly=False, jit_compile=True)
    assert fused.jit_compile
    fused.set_weights(plain.get_weights())
    losses = [model.train_on_batch(clips, labels) for model in (plain, fused)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_close(fused.get_weights(), plain.get_weights(), rtol=1e-3, atol=1e-5)
