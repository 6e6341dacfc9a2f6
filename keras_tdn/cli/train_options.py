"""The options of `keras-tdn train`."""

from __future__ import annotations

import argparse
from typing import Any

from keras_tdn.choices import AUTO, PARTS, RECIPES
from keras_tdn.cli.arguments import (
    DEFAULT_MODEL,
    MODELS,
    PACKED_HELP,
    SPLIT_HELP,
    add_classes_option,
    add_reading_options,
    add_seed,
    add_skip_missing,
)

DEFAULT_RECIPE = "finetune_small"
STAGES = 4
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds all of them."""
    parser.add_argument("--output", required=True, metavar="OUT", help="folder to write to")
    parser.add_argument("--resume", action="store_true", help="continue the training in OUT")
    _add_data(parser.add_argument_group("videos"))
    _add_model(parser.add_argument_group("model"))
    _add_recipe(
        parser.add_argument_group("recipe", "options that are not given are as in the recipe")
    )
    _add_run(parser.add_argument_group("run"))


def _add_data(group: Any) -> None:
    group.add_argument(
        "--train-list",
        required=True,
        metavar="LIST",
        help=PACKED_HELP,
    )
    group.add_argument(
        "--val-list", metavar="LIST", help="the same, for the videos to measure accuracy on"
    )
    group.add_argument(
        "--no-validation", action="store_true", help="train without a validation list"
    )
    group.add_argument(
        "--train-split",
        metavar="NAME",
        help=f"part of --train-list to train on: {SPLIT_HELP}",
    )
    group.add_argument(
        "--val-split",
        metavar="NAME",
        help="the same for --val-list, which may be the list that is trained on",
    )
    add_reading_options(group)
    add_classes_option(group)
    add_skip_missing(group)
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="clips prepared in parallel (default: chosen automatically)",
    )


def _add_model(group: Any) -> None:
    group.add_argument(
        "--model", choices=sorted(MODELS), help=f"architecture (default: {DEFAULT_MODEL})"
    )
    group.add_argument(
        "--stage-depths",
        type=_depths,
        metavar="N,N,N,N",
        help="blocks of each stage, for a compact model",
    )
    group.add_argument(
        "--width", type=int, metavar="N", help="channels of the stem, for a compact model"
    )
    group.add_argument(
        "--weights",
        metavar="WEIGHTS",
        help="imagenet, random, a data set's name, a preset or a file (default: imagenet, or "
        "random for a compact model)",
    )
    group.add_argument(
        "--segments", type=int, metavar="N", help="segments per video (default: the recipe's)"
    )
    group.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="height and width of the crops (default: the recipe's)",
    )
    group.add_argument("--dtype", choices=DTYPES, help="precision (default: float32)")
    for switch, what in (
        ("short-term", "differences of neighbouring frames"),
        ("long-term", "differences between segments"),
        ("shift", "temporal shift convolutions"),
    ):
        name = "no_temporal_shift" if switch == "shift" else f"no_{switch.replace('-', '_')}"
        group.add_argument(f"--no-{switch}", dest=name, action="store_true", help=f"without {what}")


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        default=DEFAULT_RECIPE,
        help="hyperparameters to start from (default: %(default)s)",
    )
    group.add_argument("--epochs", type=int, metavar="N", help="passes over the training videos")
    group.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="clips in a batch; the learning rate is scaled in proportion",
    )
    group.add_argument(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="learning rate (default: the recipe's, scaled to the batch size)",
    )
    group.add_argument(
        "--warmup",
        type=float,
        metavar="EPOCHS",
        help="epochs in which the learning rate rises from nearly nothing (default: the recipe's)",
    )
    group.add_argument(
        "--freeze-until", choices=PARTS, help="first part to train; earlier ones are frozen"
    )
    group.add_argument(
        "--partial-batch-norm",
        action="store_true",
        default=None,
        help="freeze all batch norms but the first",
    )
    group.add_argument(
        "--dropout",
        type=float,
        metavar="SHARE",
        help="share of the features that is dropped before the classifier",
    )
    group.add_argument(
        "--label-smoothing",
        type=float,
        metavar="SHARE",
        help="share of each label that is spread over all classes",
    )
    group.add_argument(
        "--mixup",
        type=float,
        metavar="ALPHA",
        help="MixUp: blend clips in pairs (ALPHA of the beta distribution)",
    )
    group.add_argument(
        "--cutmix",
        type=float,
        metavar="ALPHA",
        help="CutMix: paste windows from other clips (ALPHA of the beta distribution)",
    )
    group.add_argument(
        "--ema",
        type=_momentum,
        nargs="?",
        const=AUTO,
        metavar="MOMENTUM",
        help="keep a moving average of the weights, and use it (default momentum: over the last "
        "tenth of training)",
    )
    group.add_argument(
        "--accumulate",
        type=int,
        metavar="N",
        help="batches whose gradients are accumulated for one step; the learning rate is scaled "
        "in proportion",
    )
    group.add_argument(
        "--early-stopping",
        type=int,
        metavar="N",
        help="stop after N epochs without better accuracy",
    )
    group.add_argument(
        "--class-weight",
        choices=("balanced",),
        help="weight the loss so that all classes count equally",
    )


def _add_run(group: Any) -> None:
    add_seed(group)
    group.add_argument(
        "--save-every",
        type=int,
        metavar="STEPS",
        help="save a state every STEPS batches, for --resume (default: after each epoch, and every "
        "five minutes)",
    )
    group.add_argument(
        "--devices",
        type=_devices,
        default=AUTO,
        metavar="N",
        help="number of GPUs to divide a batch among, or auto for all (default: auto)",
    )
    group.add_argument(
        "--synchronize-batch-norms",
        action="store_true",
        help="compute batch norm statistics over all devices",
    )
    group.add_argument(
        "--xla",
        action=argparse.BooleanOptionalAction,
        help="compile steps with XLA (default: as Keras does, on one GPU and with JAX)",
    )
    group.add_argument("--tensorboard", action="store_true", help="also write OUT/tensorboard")
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="make runs on a GPU bit-identical too, at lower speed",
    )


def _devices(text: str) -> int | str:
    if text != AUTO and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{AUTO!r} or a positive number, not {text!r}")
    return text if text == AUTO else int(text)


def _momentum(text: str) -> float | str:
    return text if text == AUTO else float(text)


def _depths(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if len(numbers) != STAGES or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{STAGES} numbers, such as 1,1,1,1, not {text!r}")
    return tuple(int(number) for number in numbers)
