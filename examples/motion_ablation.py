"""What each temporal module is for: python examples/motion_ablation.py --output DIR [--seeds 3]

Renders the motion data set, whose classes differ by motion alone, and trains the compact model on
it from scratch with each choice of temporal modules, all alike. A run that is finished is not
repeated. DIR gets `runs/*.json`, `results.json`, a table `results.md` and a plot `results.svg`.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from keras_tdn.datasets import FramesInMemory
from keras_tdn.datasets.motion import MOTION_LABELS, make_motion_dataset, motion_model
from keras_tdn.training import recipes

# short term, long term, temporal shift
VARIANTS = {
    "TSN": (False, False, False),
    "+ long-term": (False, True, False),
    "+ shift": (False, False, True),
    "+ short-term": (True, False, False),
    "+ short-term + long-term": (True, True, False),
    "+ short-term + shift": (True, False, True),
    "full TDN": (True, True, True),
}
SWITCHES = ("short_term", "long_term", "temporal_shift")
DATA_SEED = 0
# Where the compact model is trained for a minute, the long-term TDM is still learning.
EPOCHS = 30
RECIPE_FIELDS = ("learning_rate", "batch_size", "epochs", "warmup_epochs", "weight_decay")


def train_and_measure(variant, seed, recipe, train, validation, decoder):
    """One run: accuracy on the validation videos, one centre view of each."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = motion_model(**dict(zip(SWITCHES, VARIANTS[variant], strict=True)))
    steps = recipe.steps_per_epoch(train)
    recipe.compile(model, steps)
    data = {"spec": model.clip_spec, "decoder": decoder, "seed": seed}
    started = time.process_time()
    history = model.fit(
        recipe.make_dataset(train, training=True, **data),
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        verbose=0,
    )
    cpu_seconds = time.process_time() - started
    scores = model.predict(recipe.make_dataset(validation, training=False, **data), verbose=0)
    labels = np.array([record.label for record in validation])
    right = scores.argmax(axis=1) == labels
    return {
        "variant": variant,
        "seed": seed,
        "top1": float(right.mean()),
        "per_class": {
            name: float(right[labels == number].mean()) for number, name in enumerate(MOTION_LABELS)
        },
        "training_top1": history.history["top1"],
        "parameters": model.count_params(),
        "cpu_seconds": round(cpu_seconds, 1),
    }


def read_or_run(folder, variant, seed, settings, *arguments):
    """The result of a run of these settings, from its file if it is finished."""
    path = folder / f"{''.join(c for c in variant.lower() if c.isalnum() or c == '+')}_{seed}.json"
    if path.exists():
        found = json.loads(path.read_text())
        if found.pop("settings") == settings:
            return found
    result = train_and_measure(variant, seed, *arguments)
    new = path.with_suffix(".part")
    new.write_text(json.dumps({"settings": settings, **result}, indent=1))
    new.replace(path)
    return result


def summarise(runs):
    """Per variant: accuracy of each seed, their mean, and the mean of each class."""
    summary = {}
    for variant in VARIANTS:
        chosen = [run for run in runs if run["variant"] == variant]
        top1 = [run["top1"] for run in chosen]
        summary[variant] = {
            "top1": float(np.mean(top1)),
            "top1_by_seed": top1,
            "per_class": {
                name: float(np.mean([run["per_class"][name] for run in chosen]))
                for name in MOTION_LABELS
            },
            "parameters": chosen[0]["parameters"],
            "cpu_seconds": float(np.mean([run["cpu_seconds"] for run in chosen])),
        }
    return summary


def format_table(summary, seeds, num_validation):
    """Markdown."""
    lines = [
        f"Top-1 accuracy in percent on {num_validation} validation videos, one centre view, mean "
        f"of {seeds} seeds. Chance is {100 / len(MOTION_LABELS):.1f}.",
        "",
        "| | top-1 | lowest to highest | " + " | ".join(MOTION_LABELS) + " |",
        "|---" * (3 + len(MOTION_LABELS)) + "|",
    ]
    for variant, row in summary.items():
        low, high = (100 * pick(row["top1_by_seed"]) for pick in (min, max))
        cells = [f"{100 * row['per_class'][name]:.0f}" for name in MOTION_LABELS]
        lines.append(
            f"| {variant} | **{100 * row['top1']:.1f}** | {low:.1f} to {high:.1f} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines) + "\n"


def draw_plot(summary, seeds, path):
    """A bar per variant, and beside it the accuracy of each class."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle("What each temporal module is for", fontweight="bold")
    bars, classes = figure.subplots(1, 2, width_ratios=(2, 3), sharey=True)
    top1 = [100 * row["top1"] for row in summary.values()]
    bars.barh(list(summary), top1, color="#2f6f9f")
    for number, row in enumerate(summary.values()):
        bars.text(105, number, f"{top1[number]:.1f}", va="center")
        shares = [100 * share for share in row["top1_by_seed"]]
        bars.plot(shares, [number] * len(shares), "o", color="white", markeredgecolor="#12344d")
    bars.axvline(100 / len(MOTION_LABELS), color="#9aa5b1", linestyle="--")
    bars.set_xlabel(f"top-1 in percent, mean of {seeds} seeds (dots); dashed: chance")
    bars.set_xlim(0, 118)
    bars.set_xticks(range(0, 101, 25))
    bars.spines[["top", "right"]].set_visible(False)
    table = np.array(
        [[row["per_class"][name] for name in MOTION_LABELS] for row in summary.values()]
    )
    classes.imshow(table, "Blues", vmin=0, vmax=1.2, aspect="auto")
    for (row, column), share in np.ndenumerate(100 * table):
        color = "white" if share > 70 else "black"
        classes.text(column, row, f"{share:.0f}", ha="center", va="center", color=color)
    classes.set_xticks(range(len(MOTION_LABELS)), MOTION_LABELS, rotation=40, ha="left")
    classes.tick_params(left=False, top=False, bottom=False, labeltop=True, labelbottom=False)
    classes.spines[:].set_visible(False)
    classes.set_xlabel("accuracy by class, percent")
    # The first variant on top.
    bars.set_ylim(len(summary) - 0.5, -0.5)
    # Text stays text, which can be searched.
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--train-videos", type=int, default=960)
    parser.add_argument("--validation-videos", type=int, default=600)
    args = parser.parse_args()
    runs_folder = args.output / "runs"
    runs_folder.mkdir(parents=True, exist_ok=True)
    train, validation = make_motion_dataset(
        args.output / "data", args.train_videos, args.validation_videos, seed=DATA_SEED
    )
    recipe = dataclasses.replace(recipes.motion, epochs=args.epochs)
    settings = {
        "train_videos": len(train),
        "validation_videos": len(validation),
        "data_seed": DATA_SEED,
        **{field: getattr(recipe, field) for field in RECIPE_FIELDS},
    }
    decoder = FramesInMemory()
    runs = []
    for seed in range(args.seeds):
        for variant in VARIANTS:
            runs.append(
                read_or_run(
                    runs_folder, variant, seed, settings, recipe, train, validation, decoder
                )
            )
            print(f"{variant}, seed {seed}: {runs[-1]['top1']:.3f}", flush=True)
    summary = summarise(runs)
    results = {"settings": settings, "labels": MOTION_LABELS, "summary": summary, "runs": runs}
    (args.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.output / "results.md").write_text(format_table(summary, args.seeds, len(validation)))
    draw_plot(summary, args.seeds, args.output / "results.svg")


if __name__ == "__main__":
    main()
