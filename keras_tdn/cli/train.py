"""`keras-tdn train`: a model for one's own videos."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import AUTO
from keras_tdn.cli.train_options import add_options

if TYPE_CHECKING:
    from keras_tdn.data import RecordList
    from keras_tdn.training import Recipe
    from keras_tdn.training.distribution import Devices
    from keras_tdn.training.training_result import TrainingResult

# Recipe's field: the option that sets it.
RECIPE_OPTIONS = {
    "epochs": "epochs",
    "warmup_epochs": "warmup",
    "crop_size": "size",
    "dropout_rate": "dropout",
    "freeze_until": "freeze_until",
    "partial_batch_norm": "partial_batch_norm",
    "label_smoothing": "label_smoothing",
    "mixup_alpha": "mixup",
    "cutmix_alpha": "cutmix",
}
# From here on, a faster device would wait as well.
MUCH_WAITING = 0.2


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "train",
        help="train a model on your own videos",
        description="Trains a model by a recipe and writes it as a preset, OUT/preset, for all "
        "other commands. A training that was stopped for any reason continues with --resume.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains, and prints what it came to."""
    from keras_tdn.training.distribution import device_scope
    from keras_tdn.training.run_folder import check_output

    if (args.val_list is None) != args.no_validation:
        raise ValueError(
            "Pass --val-list with videos to measure accuracy on, or --no-validation to go without: "
            "then the last weights are kept, whether or not they are the best."
        )
    if args.val_split is not None and args.val_list is None:
        raise ValueError("--val-split is for --val-list. Pass both, or leave both out.")
    recipe = _recipe(args)
    # In front of all that takes time: videos that are looked for, weights that are downloaded.
    check_output(args.output, args.resume)
    try:
        with device_scope(args.devices) as devices:
            result = _train(args, recipe, devices)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped. The same command with --resume goes on in {args.output!r}.\n")
        raise
    sys.stdout.write("".join(f"{line}\n" for line in _report(result)))
    return 0


def _train(args: argparse.Namespace, recipe: Recipe, devices: Devices) -> TrainingResult:
    import keras

    from keras_tdn.cli.train_model import build_model
    from keras_tdn.labels import load_labels
    from keras_tdn.training import synchronize_batch_norms, train

    # Raises if it cannot be divided.
    devices.batch_size(recipe.batch_size)
    labels = None if args.labels is None else load_labels(args.labels)
    train_records = _load(args, "train", labels)
    validation_records = None
    if args.val_list is not None:
        validation_records = _load(args, "val", train_records.labels)
    if args.ema == AUTO:
        recipe = recipe.with_averages(recipe.steps_per_epoch(train_records))
    # In front of the model, whose first weights are drawn from it.
    keras.utils.set_random_seed(args.seed)
    # A class may have no video in one of the lists.
    classes = max(train_records.num_classes, getattr(validation_records, "num_classes", 0))
    model = build_model(args, recipe, classes, train_records.labels)
    if args.synchronize_batch_norms:
        synchronize_batch_norms(model)
    arguments: dict[str, Any] = {}
    if args.workers is not None:
        arguments["num_parallel_calls"] = args.workers
    return train(
        model,
        train_records,
        validation_records,
        recipe,
        args.output,
        seed=args.seed,
        resume=args.resume,
        early_stopping=args.early_stopping,
        class_weight=args.class_weight,
        tensorboard=args.tensorboard,
        save_every=args.save_every,
        deterministic=args.deterministic,
        dataset_arguments=arguments,
        compile_arguments={} if args.xla is None else {"jit_compile": args.xla},
    )


def _recipe(args: argparse.Namespace) -> Recipe:
    import dataclasses

    from keras_tdn.training.recipes import RECIPES

    recipe = RECIPES[args.recipe]
    for option in ("batch_size", "accumulate"):
        number = getattr(args, option)
        if number is not None and number < 1:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} is a positive number. Received: {number}")
    recipe = recipe.for_batch_size(args.batch_size or recipe.batch_size, args.accumulate)
    changes = {
        field: getattr(args, option)
        for field, option in RECIPE_OPTIONS.items()
        if getattr(args, option) is not None
    }
    if args.ema not in (None, AUTO):
        changes["ema_momentum"] = args.ema
    if args.learning_rate is not None:
        changes["learning_rate"] = args.learning_rate
    if args.segments is not None:
        changes["num_segments"] = args.segments
    return dataclasses.replace(recipe, **changes)


def _load(args: argparse.Namespace, part: str, labels: tuple[str, ...] | None) -> RecordList:
    """The records of `--train-list` or `--val-list`."""
    from keras_tdn.data import load_packed, load_records
    from keras_tdn.data.packing.index import INDEX_FILE

    source, split = getattr(args, f"{part}_list"), getattr(args, f"{part}_split")
    if os.path.isfile(os.path.join(source, INDEX_FILE)):
        if split is not None:
            raise ValueError(
                f"{source!r} is a packed folder, which is one split. Leave --{part}-split out; "
                "`keras-tdn pack --split` chooses what is packed."
            )
        if args.classes is not None:
            raise ValueError(
                f"{source!r} is a packed folder, which knows its classes. Leave --classes out."
            )
        return load_packed(source)
    return load_records(
        source,
        format=args.format,
        root=args.root,
        labels=labels,
        num_classes=args.classes,
        split=split,
        fold=args.fold,
        skip_missing=args.skip_missing,
    )


def _report(result: TrainingResult) -> list[str]:
    from pathlib import Path

    lines = [f"epochs   {result.epochs}; the preset is of epoch {result.epoch}"]
    if result.top1 is not None and result.top5 is not None:
        lines += [
            f"top-1    {result.top1:.1%} of {result.num_validation} validation videos",
            f"top-5    {result.top5:.1%}",
        ]
    waited = f"input    waited for during {result.share_waited:.0%} of the training steps' time"
    if result.share_waited > MUCH_WAITING:
        waited += "; `keras-tdn pack` makes reading faster"
    lines.append(waited)
    if result.failures:
        lines.append(f"Failed, and left out: {len(result.failures)} videos (failures.jsonl)")
    return [*lines, f"Wrote {Path(result.preset)}"]
