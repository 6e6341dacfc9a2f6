"""Trains the preset that ships with the package, on videos that it renders itself.

python weights/make_motion_preset.py --into keras_tdn/pretrained/shipped/motion

It takes about ten minutes on two processor cores. The videos move at a wider range of speeds than
those of the demo; accuracy is measured on videos as the demo renders them, of another seed.
"""

import argparse
import dataclasses
import pathlib
import sys
import tempfile

import keras

from keras_tdn.datasets import FramesInMemory
from keras_tdn.datasets.motion import MotionConfig, make_motion_dataset, motion_model
from keras_tdn.pretrained import save_preset, verify_preset
from keras_tdn.pretrained.preset_config import TDN_CITATION, Accuracy, PresetCard
from keras_tdn.training import recipes

SEED = 0
VALIDATION_SEED = 1
NUM_TRAIN, NUM_VALIDATION = 2400, 1200
EPOCHS = 24
WIDE = MotionConfig(move_speed=(0.01, 0.06), turn_speed=(1.2, 8.0), zoom_speed=(0.015, 0.09))


def main() -> int:
    """Renders, trains, measures, saves and verifies."""
    parser = argparse.ArgumentParser(description="Trains the preset that ships with the package.")
    parser.add_argument("--into", type=pathlib.Path, required=True, help="folder of the preset")
    parser.add_argument("--data", type=pathlib.Path, help="where to keep the videos")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--videos", type=int, default=NUM_TRAIN)
    parser.add_argument("--overwrite", action="store_true", help="replace the preset")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = pathlib.Path(temporary) if args.data is None else args.data
        train, _ = make_motion_dataset(data / "wide", args.videos, 12, seed=SEED, config=WIDE)
        _, validation = make_motion_dataset(data / "demo", 12, NUM_VALIDATION, seed=VALIDATION_SEED)
        keras.utils.set_random_seed(SEED)
        model = motion_model()
        recipe = dataclasses.replace(recipes.motion, epochs=args.epochs)
        steps = recipe.steps_per_epoch(train)
        recipe.compile(model, steps)
        model.fit(
            recipe.make_dataset(train, model.clip_spec, training=True, decoder=FramesInMemory()),
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            verbose=2,
        )
        measured = model.evaluate(
            recipe.make_dataset(validation, model.clip_spec, training=False),
            return_dict=True,
            verbose=0,
        )
    accuracy = Accuracy(
        model.num_segments,
        num_crops=1,
        num_clips=1,
        top1=round(100 * measured["top1"], 1),
        top5=round(100 * measured["top5"], 1),
    )
    card = PresetCard(
        dataset="motion",
        licence="Apache-2.0",
        source=(
            "trained from scratch by weights/make_motion_preset.py on videos that "
            "keras_tdn.datasets.motion renders"
        ),
        measured=(accuracy,),
        citation=TDN_CITATION,
    )
    save_preset(model, args.into, card=card, overwrite=args.overwrite)
    report = verify_preset(args.into)
    sys.stdout.write(f"{accuracy} on {NUM_VALIDATION} videos\n{report}\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
