"""What each temporal module is for: python examples/motion_ablation.py --output DIR [--seeds 3]

Renders the motion data set, whose classes differ by motion alone, and trains the compact model on
it from scratch with each choice of temporal modules, all alike. A run that is finished is not
repeated. DIR gets `runs/*.json`, `results.json`, a table `results.md` and a plot `results.svg`.
"""

import argparse
import dataclasses
import html
import json
import pathlib
import time

import keras
import numpy as np

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


def format_plot(summary, seeds):
    """SVG: a bar per variant, and beside it the accuracy of each class."""
    row_height, top, bar_x, bar_width, cell_x, cell = 34, 168, 190, 240, 500, 38
    width, height = cell_x + cell * len(MOTION_LABELS) + 84, top + row_height * len(summary) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1f2933">',
        "<title>Accuracy of each choice of temporal modules on the motion data set</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="20" y="32" font-size="17" font-weight="600">What each temporal module is for'
        "</text>",
        f'<text x="20" y="54" fill="#52606d">Top-1 by choice of modules, mean of {seeds} '
        "seeds;</text>",
        '<text x="20" y="72" fill="#52606d">dots are seeds, the dashed line is chance</text>',
    ]
    for number, name in enumerate(MOTION_LABELS):
        x = cell_x + cell * (number + 0.5) + 4
        parts.append(
            f'<text transform="translate({x:.0f} {top - 10}) rotate(-45)" font-size="12">'
            f"{html.escape(name)}</text>"
        )
    chance = bar_x + bar_width / len(MOTION_LABELS)
    bottom = top + row_height * len(summary)
    parts.append(
        f'<line x1="{chance:.0f}" x2="{chance:.0f}" y1="{top - 6}" y2="{bottom}" '
        'stroke="#9aa5b1" stroke-dasharray="4 3"/>'
    )
    for number, (variant, row) in enumerate(summary.items()):
        y = top + row_height * number
        middle = y + row_height / 2
        length = bar_width * row["top1"]
        parts += [
            f'<text x="{bar_x - 10}" y="{middle + 4}" text-anchor="end">{variant}</text>',
            f'<rect x="{bar_x}" y="{y + 7}" width="{length:.1f}" height="{row_height - 14}" '
            'rx="3" fill="#2f6f9f"/>',
            f'<text x="{bar_x + bar_width + 12}" y="{middle + 4}">{100 * row["top1"]:.1f}</text>',
        ]
        for share in row["top1_by_seed"]:
            x = bar_x + bar_width * share
            parts.append(
                f'<circle cx="{x:.1f}" cy="{middle}" r="3.5" fill="#fff" stroke="#12344d"/>'
            )
        for place, name in enumerate(MOTION_LABELS):
            share = row["per_class"][name]
            red, green, blue = (round(255 + share * (end - 255)) for end in (47, 111, 159))
            ink = "#ffffff" if share > 0.55 else "#1f2933"
            x = cell_x + cell * place
            parts += [
                f'<rect x="{x}" y="{y + 2}" width="{cell - 3}" height="{row_height - 4}" rx="3" '
                f'fill="rgb({red},{green},{blue})"/>',
                f'<text x="{x + (cell - 3) / 2}" y="{middle + 4}" text-anchor="middle" '
                f'font-size="12" fill="{ink}">{100 * share:.0f}</text>',
            ]
    parts.append(
        f'<text x="{cell_x}" y="{height - 16}" fill="#52606d">Accuracy by class, percent</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


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
    (args.output / "results.svg").write_text(format_plot(summary, args.seeds))


if __name__ == "__main__":
    main()
