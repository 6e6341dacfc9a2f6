"""Fine-tunes on your own videos: python examples/finetune.py TRAIN_LIST VAL_LIST WEIGHTS OUTPUT

The lists have a line `video.mp4 label` for each video. WEIGHTS is a preset, a local ResNet50 that
was trained on ImageNet, or `imagenet` to download torchvision's. After an interruption, the same
command goes on.
"""

import sys

import keras

import keras_tdn
from keras_tdn.data import load_records
from keras_tdn.training import TrainingState, load_checkpoint, recipes


def main(train_list: str, val_list: str, weights: str, output: str) -> None:
    records = load_records(train_list)
    val_records = load_records(val_list, labels=records.labels, num_classes=records.num_classes)
    recipe = recipes.finetune_small
    keras.utils.set_random_seed(0)
    model = keras_tdn.TDNResNet50(
        weights=weights, classes=records.num_classes, labels=records.labels
    )
    model.clip_spec = spec = recipe.clip_spec_for(model)
    steps = recipe.steps_per_epoch(records)
    recipe.compile(model, steps)
    state = TrainingState(f"{output}/state", epochs=recipe.epochs, steps_per_epoch=steps)
    callbacks = recipe.callbacks(output, state=state, early_stopping=5)
    validation = recipe.make_dataset(val_records, spec, training=False)
    for span in state.spans():
        place = {"start": span.start, "positions": state.positions}
        clips = recipe.make_dataset(records, spec, training=True, **place)
        fit = {"callbacks": callbacks, "shuffle": False, "verbose": 0, **span.fit_arguments}
        model.fit(clips, validation_data=validation, **fit)
    load_checkpoint(model, f"{output}/best.weights.h5")
    keras_tdn.pretrained.save_preset(model, f"{output}/preset")


if __name__ == "__main__":
    main(*sys.argv[1:])
