"""The options of `keras-tdn train`."""

from __future__ import annotations

import argparse
from typing import Any

from keras_tdn.cli.lists import SPLIT_HELP, add_reading_options
from keras_tdn.cli.loading import MODELS
from keras_tdn.training.distribution import AUTO
from keras_tdn.training.freezing import PARTS
from keras_tdn.training.recipes import RECIPES

DEFAULT_RECIPE = "finetune_small"
STAGES = 4
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
# Where the default is not worth a thought.
EMA_MOMENTUM = 0.999


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds all of them."""
    parser.add_argument("--output", required=True, metavar="OUT", help="folder that is written to")
    parser.add_argument("--resume", action="store_true", help="go on with the training in OUT")
    _add_data(parser.add_argument_group("videos"))
    _add_model(parser.add_argument_group("model"))
    _add_recipe(parser.add_argument_group("recipe", "what is not given is as in the recipe"))
    _add_run(parser.add_argument_group("run"))


def _add_data(group: Any) -> None:
    group.add_argument(
        "--train-list",
        required=True,
        metavar="LIST",
        help="list, annotation file, folder of classes, or folder that `keras-tdn pack` wrote",
    )
    group.add_argument("--val-list", metavar="LIST", help="the same, to measure accuracy on")
    group.add_argument("--no-validation", action="store_true", help="train without such a list")
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
    group.add_argument(
        "--skip-missing", action="store_true", help="leave out videos that are not there"
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="clips made side by side (default: as fits)"
    )


def _add_model(group: Any) -> None:
    group.add_argument("--model", choices=sorted(MODELS), help="(default: tdn_resnet50)")
    group.add_argument(
        "--stage-depths",
        type=_depths,
        metavar="N,N,N,N",
        help="blocks of each stage, for a compact model",
    )
    group.add_argument("--width", type=int, metavar="N", help="channels of its stem")
    group.add_argument(
        "--weights",
        metavar="WEIGHTS",
        help="imagenet, random, a data set's name, a preset or a file (default: imagenet, or "
        "random for a compact model)",
    )
    group.add_argument("--segments", type=int, metavar="N", help="spans of a video")
    group.add_argument("--size", type=int, metavar="PIXELS", help="height and width of the crops")
    group.add_argument("--dtype", choices=DTYPES, help="(default: float32)")
    for switch, what in (
        ("short-term", "differences of neighbouring frames"),
        ("long-term", "differences between segments"),
        ("shift", "temporal shift convolutions"),
    ):
        name = "no_temporal_shift" if switch == "shift" else f"no_{switch.replace('-', '_')}"
        group.add_argument(f"--no-{switch}", dest=name, action="store_true", help=f"without {what}")


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--recipe", choices=sorted(RECIPES), default=DEFAULT_RECIPE, help="(default: %(default)s)"
    )
    group.add_argument("--epochs", type=int, metavar="N", help="times that each video is drawn")
    group.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="clips in a batch; the learning rate goes in proportion",
    )
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="in spite of that")
    group.add_argument("--freeze-until", choices=PARTS, help="first part that is trained")
    group.add_argument(
        "--partial-batch-norm",
        action="store_true",
        default=None,
        help="have all batch norms but the first use their averages",
    )
    group.add_argument("--dropout", type=float, metavar="SHARE")
    group.add_argument("--label-smoothing", type=float, metavar="SHARE")
    group.add_argument("--mixup", type=float, metavar="ALPHA", help="blend clips in pairs")
    group.add_argument("--cutmix", type=float, metavar="ALPHA", help="put windows of others in")
    group.add_argument(
        "--ema",
        type=float,
        nargs="?",
        const=EMA_MOMENTUM,
        metavar="MOMENTUM",
        help="average the weights (default momentum: %(const)s)",
    )
    group.add_argument(
        "--accumulate", type=int, metavar="N", help="batches whose gradients make one step"
    )
    group.add_argument(
        "--early-stopping",
        type=int,
        metavar="N",
        help="end after so many epochs without a better accuracy",
    )
    group.add_argument("--class-weight", choices=("balanced",), help="have all classes count alike")


def _add_run(group: Any) -> None:
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)"
    )
    group.add_argument(
        "--save-every",
        type=int,
        metavar="STEPS",
        help="to --resume from (default: at the end of each epoch, and every five minutes)",
    )
    group.add_argument(
        "--devices",
        type=_devices,
        default=AUTO,
        metavar="N",
        help="GPUs that a batch is divided among, or auto for all there are (default: auto)",
    )
    group.add_argument(
        "--synchronize-batch-norms",
        action="store_true",
        help="take their statistics over all devices",
    )
    group.add_argument(
        "--xla",
        action=argparse.BooleanOptionalAction,
        help="compile steps with XLA (default: as Keras does, on one GPU and with JAX)",
    )
    group.add_argument("--tensorboard", action="store_true", help="write OUT/tensorboard as well")
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits in each run on a GPU as well, at a slower pace",
    )


def _devices(text: str) -> int | str:
    if text != AUTO and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{AUTO!r} or a positive number, not {text!r}")
    return text if text == AUTO else int(text)


def _depths(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if len(numbers) != STAGES or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{STAGES} numbers, such as 1,1,1,1, not {text!r}")
    return tuple(int(number) for number in numbers)
