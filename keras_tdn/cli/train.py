"""`keras-tdn train`: a model for one's own videos."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import AUTO, PARTS, RECIPES
from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import PACKED_HELP, SPLIT_HELP, option, write_lines

if TYPE_CHECKING:
    from keras_tdn.data import RecordList
    from keras_tdn.training import Recipe
    from keras_tdn.training.distribution import Devices
    from keras_tdn.training.training_result import TrainingResult

_STAGES = 4
# From here on, a faster device would wait as well.
_MUCH_WAITING = 0.2


def add_train(parser: Any) -> None:
    """Trains a model by a recipe and writes it as a preset, OUT/preset, for all other commands. A
    training that was stopped for any reason continues with --resume.
    """
    parser.set_defaults(run=_run_train)
    option(parser, "--output", "OUT", "folder to write to", required=True)
    arguments.shared(parser, "--resume")
    _add_data(parser.add_argument_group("videos"))
    _add_model(parser.add_argument_group("model"))
    note = "options that are not given are as in the recipe"
    _add_recipe(parser.add_argument_group("recipe", note))
    _add_run(parser.add_argument_group("run"))
    arguments.shared(parser, "--quiet")


def _add_data(group: Any) -> None:
    add = functools.partial(option, group)
    add("--train-list", "LIST", PACKED_HELP, required=True)
    add("--val-list", "LIST", "the same, for the videos to measure accuracy on")
    add("--no-validation", None, "train without a validation list")
    add("--train-split", "NAME", f"part of --train-list to train on: {SPLIT_HELP}")
    add("--val-split", "NAME", "the same for --val-list, which may be the list that is trained on")
    arguments.shared(group, *arguments.READING, "--classes")
    arguments.add_labels(group, "")
    add("--workers", "N", "clips prepared in parallel (default: chosen automatically)")


def _add_model(group: Any) -> None:
    add = functools.partial(option, group)
    arguments.shared(group, "--model")
    add("--stage-depths", "N,N,N,N", "blocks of each stage, for a compact model", type=_depths)
    add("--width", "N", "channels of the stem, for a compact model")
    note = ", imagenet, random or a data set's name (default: imagenet, or random for a compact "
    arguments.add_weights(group, f"{note}model)", required=False)
    add("--segments", "N", "segments per video (default: the recipe's)", dest="num_segments")
    text = "height and width of the crops (default: the recipe's)"
    add("--size", "PIXELS", text, dest="crop_size")
    add("--dtype", ("float32", "mixed_bfloat16", "mixed_float16"), "precision (default: float32)")
    add("--no-short-term", None, "without differences of neighbouring frames")
    add("--no-long-term", None, "without differences between segments")
    add("--no-shift", None, "without temporal shift convolutions", dest="no_temporal_shift")


def _add_recipe(group: Any) -> None:
    """Adds what sets fields of the recipe, under their names."""
    add = functools.partial(option, group)
    add("--recipe", sorted(RECIPES), "hyperparameters to start from", "finetune_small")
    add("--epochs", "N", "passes over the training videos")
    add("--batch-size", "N", "clips in a batch; the learning rate is scaled in proportion")
    text = "learning rate (default: the recipe's, scaled to the batch size)"
    add("--learning-rate", "RATE", text)
    text = "epochs in which the learning rate rises from nearly nothing (default: the recipe's)"
    add("--warmup", "EPOCHS", text, dest="warmup_epochs")
    add("--freeze-until", PARTS, "first part to train; earlier ones are frozen")
    text = "freeze all batch norms but the first"
    add("--partial-batch-norm", None, text, action="store_const", const=True)
    text = "share of the features that is dropped before the classifier"
    add("--dropout", "SHARE", text, dest="dropout_rate")
    add("--label-smoothing", "SHARE", "share of each label that is spread over all classes")
    text = "(ALPHA of the beta distribution)"
    add("--mixup", "ALPHA", f"MixUp: blend clips in pairs {text}", dest="mixup_alpha")
    add("--cutmix", "ALPHA", f"CutMix: paste windows from other clips {text}", dest="cutmix_alpha")
    text = "keep a moving average of the weights, and use it (default momentum: over the last "
    add("--ema", "MOMENTUM", f"{text}tenth of training)", type=_momentum, nargs="?", const=AUTO)
    text = "batches whose gradients are accumulated for one step; the learning rate is scaled in "
    add("--accumulate", "N", f"{text}proportion")
    add("--early-stopping", "N", "stop after N epochs without better accuracy")
    add("--class-weight", ("balanced",), "weight the loss so that all classes count equally")


def _add_run(group: Any) -> None:
    add = functools.partial(option, group)
    arguments.shared(group, "--seed")
    text = "save a state every STEPS batches, for --resume (default: after each epoch, and every "
    add("--save-every", "STEPS", f"{text}five minutes)")
    text = "number of GPUs to divide a batch among, or auto for all"
    add("--devices", "N", text, AUTO, type=_devices)
    add("--synchronize-batch-norms", None, "compute batch norm statistics over all devices")
    text = "compile steps with XLA (default: as Keras does, on one GPU and with JAX)"
    add("--xla", None, text, action=argparse.BooleanOptionalAction)
    add("--tensorboard", None, "also write OUT/tensorboard")
    add("--deterministic", None, "make runs on a GPU bit-identical too, at lower speed")


def _devices(text: str) -> int | str:
    if text != AUTO and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{AUTO!r} or a positive number, not {text!r}")
    return text if text == AUTO else int(text)


def _momentum(text: str) -> float | str:
    return text if text == AUTO else float(text)


def _depths(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if len(numbers) != _STAGES or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{_STAGES} numbers, such as 1,1,1,1, not {text!r}")
    return tuple(int(number) for number in numbers)


def _run_train(args: argparse.Namespace) -> int:
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
    write_lines(*_report(result))
    return 0


def _train(args: argparse.Namespace, recipe: Recipe, devices: Devices) -> TrainingResult:
    import keras

    from keras_tdn.training import synchronize_batch_norms, train

    # Raises if it cannot be divided.
    devices.batch_size(recipe.batch_size)
    train_records = _load(args, "train", loading.labels_of(args))
    held_out = None if args.val_list is None else _load(args, "val", train_records.labels)
    if args.ema == AUTO:
        recipe = recipe.with_averages(recipe.steps_per_epoch(train_records))
    # In front of the model, whose first weights are drawn from it.
    keras.utils.set_random_seed(args.seed)
    # A class may have no video in one of the lists.
    classes = max(train_records.num_classes, getattr(held_out, "num_classes", 0))
    model = loading.build_model(args, recipe, classes, train_records.labels)
    if args.synchronize_batch_norms:
        synchronize_batch_norms(model)
    named = ("seed", "resume", "early_stopping", "class_weight", "tensorboard", "save_every")
    how = {
        **arguments.given(args, *named, "deterministic"),
        "dataset_arguments": {} if args.workers is None else {"num_parallel_calls": args.workers},
        "compile_arguments": {} if args.xla is None else {"jit_compile": args.xla},
    }
    return train(model, train_records, held_out, recipe, args.output, **how)


def _recipe(args: argparse.Namespace) -> Recipe:
    from keras_tdn.training.recipes import RECIPES

    for name in ("batch_size", "accumulate"):
        number = getattr(args, name)
        if number is not None and number < 1:
            dashed = name.replace("_", "-")
            raise ValueError(f"--{dashed} is a positive number. Received: {number}")
    recipe = RECIPES[args.recipe]
    recipe = recipe.for_batch_size(args.batch_size or recipe.batch_size, args.accumulate)
    options = {**vars(args), "ema_momentum": None if args.ema == AUTO else args.ema}
    fields = {field.name for field in dataclasses.fields(recipe)}
    given = {name: options[name] for name in fields & set(options) if options[name] is not None}
    return dataclasses.replace(recipe, **given)


def _load(args: argparse.Namespace, part: str, labels: tuple[str, ...] | None) -> RecordList:
    from keras_tdn.data.packing.index import is_packed

    source, split = getattr(args, f"{part}_list"), getattr(args, f"{part}_split")
    listed = argparse.Namespace(**{**vars(args), "list": source, "split": split})
    if is_packed(source):
        if split is not None:
            raise ValueError(
                f"{source!r} is a packed folder, which is one split. Leave --{part}-split out; "
                "`keras-tdn pack --split` chooses what is packed."
            )
        # These are for the other list.
        listed.format = listed.root = listed.fold = None
    return arguments.load_list(listed, labels=labels)


def _report(result: TrainingResult) -> list[str]:
    lines = [f"epochs   {result.epochs}; the preset is of epoch {result.epoch}"]
    if result.top1 is not None and result.top5 is not None:
        lines += [
            f"top-1    {result.top1:.1%} of {result.num_validation} validation videos",
            f"top-5    {result.top5:.1%}",
        ]
    waited = f"input    waited for during {result.share_waited:.0%} of the training steps' time"
    if result.share_waited > _MUCH_WAITING:
        waited += "; `keras-tdn pack` makes reading faster"
    lines.append(waited)
    if result.failures:
        lines.append(f"Failed, and left out: {len(result.failures)} videos (failures.jsonl)")
    return [*lines, f"Wrote {os.fspath(result.preset)}"]
