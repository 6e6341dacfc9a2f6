"""Trains one model on the GPUs of several machines, on the JAX backend.

    python examples/train_on_several_machines.py TRAIN_LIST VAL_LIST WEIGHTS OUTPUT

The same command runs on every machine, with its own number; docs/distributed_training.md shows the
variables that tell it. Without them it trains on all GPUs of one machine.
"""

import os
import sys

# Before Keras is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import keras_tdn
from keras_tdn.data import load_records
from keras_tdn.training import device_scope, load_checkpoint, recipes


def main(train_list: str, val_list: str, weights: str, output: str) -> None:
    records = load_records(train_list)
    val_records = load_records(val_list, labels=records.labels, num_classes=records.num_classes)
    recipe = recipes.kinetics400
    steps = recipe.steps_per_epoch(records)
    # It joins the processes, so it comes before the seed and the model, which are alike in all.
    with device_scope() as devices:
        keras.utils.set_random_seed(0)
        model = keras_tdn.TDNResNet50(
            weights=weights, classes=records.num_classes, labels=records.labels
        )
        recipe.compile(model, steps)
        # Every process reads every other record (of two), and their batches make one.
        part = {"shard": devices.shard, "batch_size": devices.batch_size(recipe.batch_size)}
        model.clip_spec = spec = recipe.clip_spec_for(model)
        clips = recipe.make_dataset(records, spec, training=True, **part)
        # As many whole batches in each process; if one had fewer, the others would wait for ever.
        endless = {"repeat": True, "drop_remainder": True}
        validation = recipe.make_dataset(val_records, spec, training=False, **part, **endless)
        # All of them evaluate, and each writes to a folder of its own.
        folder = output if devices.is_first else f"{output}/process{devices.process_index}"
        model.fit(
            clips,
            validation_data=validation,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            validation_steps=recipe.steps_per_epoch(val_records),
            callbacks=recipe.callbacks(folder, progress=devices.is_first),
            shuffle=False,
            verbose=0,
        )
        # In all processes too: a model that lies on several machines waits for each of them.
        load_checkpoint(model, f"{folder}/best.weights.h5")
        keras_tdn.pretrained.save_preset(model, f"{folder}/preset")


if __name__ == "__main__":
    main(*sys.argv[1:])
