"""Trains a classifier on a frozen backbone: python examples/finetune_frozen.py LIST IMAGENET_FILE

LIST has a line `video.mp4 label` for each video. IMAGENET_FILE is a local ResNet50 trained on
ImageNet, or `imagenet` to download torchvision's.
"""

import sys

import keras

import keras_tdn
from keras_tdn.data import load_records, make_dataset

BATCH_SIZE = 8


def main(video_list: str, weights: str) -> None:
    records = load_records(video_list)
    model = keras_tdn.TDNResNet50(
        weights=weights, classes=records.num_classes, labels=records.labels
    )
    keras_tdn.training.freeze_until(model, "classifier")
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    clips = make_dataset(records, model.clip_spec, training=True, batch_size=BATCH_SIZE)
    model.fit(clips, epochs=2, steps_per_epoch=max(1, len(records) // BATCH_SIZE))
    keras_tdn.pretrained.save_preset(model, "my_model")


if __name__ == "__main__":
    main(*sys.argv[1:])
