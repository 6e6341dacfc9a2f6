"""Fine-tunes TDN and TSN from ImageNet weights on small sets of real videos, several seeds each.

    python weights/finetune_real_videos.py VIDEOS RESNET50 OUTPUT [--only REGEX] [--seeds 3]

VIDEOS holds the folders `arid6` and `bedfall`; RESNET50 is a local ResNet50 trained on ImageNet.
Every run trains both networks alike: the same recipe, weights, seed, order and augmentation. A run
that ended is not repeated, and one that was killed goes on where it was.
"""

import argparse
import dataclasses
import gc
import json
import re
import shutil
import statistics
import warnings
from pathlib import Path

import keras

import keras_tdn
from keras_tdn.data import load_records
from keras_tdn.training import recipes, train

TSN = {"short_term": False, "long_term": False, "temporal_shift": False}
MODULES = {"TDN": {}, "TSN": TSN}
# Stage depths: the paper's, and one block per stage, which takes ImageNet's first blocks.
MODELS = {"resnet50": (3, 4, 6, 3), "compact": (1, 1, 1, 1)}
# Folder and lists.
SETS = {
    "arid6_mixed": ("arid6", "mixed_train.txt", "mixed_validate.txt"),
    "bedfall": ("bedfall", "train.txt", "validate.txt"),
    "arid6": ("arid6", "train.txt", "validate.txt"),
}
# Segments and epochs. Four segments where there is no reference to reach: they halve the time.
SETTINGS = {
    ("arid6_mixed", "resnet50"): (8, 10),
    ("arid6_mixed", "compact"): (4, 6),
    ("bedfall", "resnet50"): (8, 6),
    ("bedfall", "compact"): (4, 6),
    ("arid6", "resnet50"): (4, 4),
    ("arid6", "compact"): (4, 8),
}
RECIPE = recipes.finetune_small
RESULT = "result.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training."""

    dataset: str
    model: str
    modules: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.dataset}-{self.model}-{self.modules}-{self.seed}"

    @property
    def recipe(self) -> keras_tdn.training.Recipe:
        """The recipe for small data sets, with this run's segments and epochs."""
        num_segments, epochs = SETTINGS[self.dataset, self.model]
        return dataclasses.replace(RECIPE, num_segments=num_segments, epochs=epochs)

    def __call__(self, videos: Path, weights: Path, output: Path) -> None:
        """Trains, or goes on, and leaves `result.json` and the log."""
        folder, train_list, validation_list = SETS[self.dataset]
        root = videos / folder
        lists = [
            load_records(root / name, labels=root / "classes.txt")
            for name in (train_list, validation_list)
        ]
        keras.utils.set_random_seed(self.seed)
        recipe = self.recipe
        size = recipe.crop_size
        with warnings.catch_warnings():
            # That the compact model takes the first blocks of each stage is meant here.
            warnings.simplefilter("ignore", UserWarning)
            model = keras_tdn.TDNResNet(
                MODELS[self.model],
                weights=str(weights),
                classes=lists[0].num_classes,
                labels=lists[0].labels,
                num_segments=recipe.num_segments,
                input_shape=(recipe.num_segments * 5, size, size, 3),
                **MODULES[self.modules],
            )
        train(model, *lists, recipe, output, seed=self.seed, resume=output.exists())


def runs(seeds: int) -> list[Run]:
    """All runs; the first seed of everything comes first."""
    return [
        Run(dataset, model, modules, seed)
        for seed in range(seeds)
        for dataset in SETS
        for model in MODELS
        for modules in MODULES
    ]


def drop_weights(folder: Path, keep_preset: bool) -> None:
    """Frees the disk: half a gigabyte for a ResNet50."""
    shutil.rmtree(folder / "state", ignore_errors=True)
    for path in folder.glob("*.weights.h5"):
        path.unlink()
    if not keep_preset:
        shutil.rmtree(folder / "preset", ignore_errors=True)


def summary(output: Path, seeds: int) -> str:
    """A table of what has been measured so far.

    The best epoch is chosen on the videos that it is measured on, which flatters it; the last one
    is not chosen.
    """
    lines = [
        "| Videos | Model | Segments | Epochs | TDN, last epoch | best | TSN, last epoch | best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (dataset, model), (num_segments, epochs) in SETTINGS.items():
        cells = []
        for modules in MODULES:
            names = [Run(dataset, model, modules, seed).name for seed in range(seeds)]
            results = [
                json.loads(path.read_text())
                for name in names
                if (path := output / name / RESULT).exists()
            ]
            cells.append(_shares([result["history"][-1]["val_top1"] for result in results]))
            cells.append(_shares([result["top1"] for result in results]))
        lines.append(f"| {dataset} | {model} | {num_segments} | {epochs} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shares(scores: list[float]) -> str:
    """Mean, and each seed's."""
    if not scores:
        return "not yet"
    return f"{statistics.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", default="", help="regular expression of the runs' names")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for run in runs(arguments.seeds):
        folder = arguments.output / run.name
        if (folder / RESULT).exists() or not re.search(arguments.only, run.name):
            continue
        run(arguments.videos, arguments.weights, folder)
        drop_weights(folder, keep_preset=run.seed == 0 and run.modules == "TDN")
        keras.backend.clear_session()
        gc.collect()
        (arguments.output / "summary.md").write_text(summary(arguments.output, arguments.seeds))


if __name__ == "__main__":
    main()
