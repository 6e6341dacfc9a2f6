"""A training that is broken off and one that is not, on the backend of this process.

    python resumed_training.py FOLDER [mirrored]

FOLDER holds videos `0.mp4`, ... Writes to standard output what differs: nothing, if all is well.
"""

import contextlib
import dataclasses
import logging
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_tdn.data import load_records
from keras_tdn.data.transforms import test_transforms
from keras_tdn.specs import ClipSpec
from keras_tdn.training import recipes
from keras_tdn.training.callbacks import TrainingState
from keras_tdn.training.state_files import read_newest_state

SPEC = ClipSpec(num_segments=2, frames_per_segment=2, height=32, width=32, short_side=32)
STEPS, EPOCHS = 3, 3
BREAK = (1, 2)
# Two replicas drift apart by rounding, and a state has the values of the first. Their metrics add
# up on each, and go on from the sum of all.
NEAR = 1e-5
NUM_VIDEOS = 13
RECIPE = dataclasses.replace(
    recipes.finetune_small,
    batch_size=4,
    epochs=EPOCHS,
    ema_momentum=0.8,
    gradient_accumulation_steps=2,
)


class BrokenOffError(Exception):
    """As sudden as a process that is killed, for all that the files know."""


class Break(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.place = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise BrokenOffError


def small_model(classes):
    """All kinds of variables there are, and little to compute."""
    model = keras.Sequential(
        [
            keras.Input((SPEC.num_frames, SPEC.height, SPEC.width, 3)),
            keras.layers.Rescaling(1 / 255, name="rescaling"),
            keras.layers.AveragePooling3D((1, 8, 8), name="pooling"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, activation="relu", name="hidden"),
            keras.layers.BatchNormalization(name="norm", synchronized=tf.distribute.has_strategy()),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(classes, activation="softmax", name="classifier"),
        ],
        # Names that Keras counts up would be in the files.
        name="small",
    )
    # Strings are metrics that Keras builds when it sees the first batch.
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="top1"), "accuracy"]
    recipe = RECIPE
    if tf.distribute.has_strategy():
        recipe = dataclasses.replace(recipe, gradient_accumulation_steps=None)
    model.compile(recipe.optimizer(STEPS), "sparse_categorical_crossentropy", metrics=metrics)
    return model


def train(model, records, folder, breaks=None):
    """Trains to the end or to a break; gives the history as far as it is known."""
    validation = RECIPE.make_dataset(records[:5], SPEC, training=False)
    state = TrainingState(folder / "state", epochs=EPOCHS, steps_per_epoch=STEPS, save_every=1)
    callbacks = RECIPE.callbacks(folder, state=state, early_stopping=9, progress=False)
    log = state.members[1]
    if breaks is not None:
        callbacks.append(Break(*breaks))
    for span in state.spans():
        clips = RECIPE.make_dataset(
            records,
            SPEC,
            training=True,
            # Killed processes draw all that can be drawn; here only the order is random.
            transforms=test_transforms(SPEC),
            start=span.start,
            positions=state.positions,
        )
        model.fit(
            clips,
            validation_data=validation,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
            **span.fit_arguments,
        )
    return log.rows


def differences(one, other, exact=True):
    """What differs in two folders of states."""
    first, second = (read_newest_state(folder / "state") for folder in (one, other))
    yield from sorted(set(first.arrays) ^ set(second.arrays))
    for name, array in first.arrays.items():
        difference = np.abs(np.subtract(array, second.arrays[name], dtype="float64")).max()
        if difference > (0 if exact else NEAR * np.abs(array).max()):
            yield f"{name}: {difference}"
    for name in ("log.csv", "best.weights.h5", "last.weights.h5") if exact else ():
        if (one / name).read_bytes() != (other / name).read_bytes():
            yield name


def seeded_model(seed):
    keras.utils.set_random_seed(seed)
    return small_model(3)


def records_in(folder):
    return load_records([(str(folder / f"{index}.mp4"), index % 3) for index in range(NUM_VIDEOS)])


def compare(folder, records):
    """What differs, line by line."""
    whole, broken = folder / "whole", folder / "broken"
    expected = train(seeded_model(5), records, whole)
    # In the middle of an epoch that is neither the first nor the last. From then on, models have
    # other weights at first, as a new process would; states come from the files.
    try:
        train(seeded_model(5), records, broken, BREAK)
        return [f"not broken off at {BREAK}"]
    except BrokenOffError:
        pass
    rows = train(seeded_model(1), records, broken)
    exact = not tf.distribute.has_strategy()
    found = list(differences(whole, broken, exact))
    for row, wanted in zip(rows, expected, strict=True):
        near = {name: value for name, value in row.items() if abs(value - wanted[name]) < NEAR}
        if row != wanted and (exact or near != row):
            found.append(f"{row} and not {wanted}")
    return found


def main(folder, mirrored):
    logging.disable(logging.WARNING)
    strategy = contextlib.nullcontext()
    if mirrored:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
        strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope()
    with strategy:
        found = compare(folder, records_in(folder))
    sys.stdout.writelines(f"{line}\n" for line in found)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] == ["mirrored"])
