"""Options of the commands: one name, one meaning, one help text and one place in the order.

A command adds what it works on first, then what is its own, then where results go, then how videos
are read and scored; the groups for lists, models and clips come last.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import MODEL_SUFFIX, RECORD_FORMATS, WEIGHTS_SUFFIX
from keras_tdn.specs import CLIP_MODES, ViewSpec

if TYPE_CHECKING:
    import keras

    from keras_tdn.data.records import RecordList

# Published models, by the names of the functions that build them, as the command line spells them.
MODELS = {"tdn_resnet50": "TDNResNet50", "tdn_resnet101": "TDNResNet101"}
DEFAULT_MODEL = "tdn_resnet50"
DEFAULT_SEGMENTS = 8
FRAMES_PER_SEGMENT = 5
PACKED_HELP = "list, annotation file or folder of videos, or folder that `keras-tdn pack` wrote"
SPLIT_HELP = "train, val, test or all, where it has several"
SIZE_METAVAR = "PIXELS_OR_HxW"
ENSEMBLES = ("softmax", "clipped_logits")
# What an option's value is called in the help texts says what it is; others are text.
_TYPES: dict[str, type] = {
    **dict.fromkeys(("N", "PIXELS", "SEGMENTS", "STEPS"), int),
    **dict.fromkeys(("ALPHA", "EPOCHS", "RATE", "SCORE", "SECONDS", "SHARE"), float),
}
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")
_VIEWS = re.compile(r"(\d+)x(\d+)")


def write_lines(*lines: object) -> None:
    """Writes lines to standard output; whoever reads along, reads them now."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def option(group: Any, name: str, value: str, text: str, default: Any = None, **more: Any) -> None:
    """Adds an option with a value.

    Args:
        group: A parser, or a group of one.
        name: The option's, such as `--top`.
        value: What the value is called, which also says its type: see `_TYPES`.
        text: The help text. The default is named behind it.
        default: The default.
        **more: Further arguments of `add_argument`.
    """
    if default not in (None, []):
        text += " (default: %(default)s)"
    more.setdefault("type", _TYPES.get(value))
    group.add_argument(name, metavar=value, help=text, default=default, **more)


def switch(group: Any, name: str, text: str) -> None:
    """Adds an option without a value."""
    group.add_argument(name, action="store_true", help=text)


def choice(
    group: Any, name: str, choices: Iterable[str], text: str, default: str | None = None
) -> None:
    """Adds an option whose value is one of several."""
    if default is not None:
        text += " (default: %(default)s)"
    group.add_argument(name, choices=tuple(choices), help=text, default=default)


# === A model ===


def add_weights(parser: Any, note: str = "", **more: Any) -> None:
    """Adds `--weights`, required unless a default is among the options of `add_argument`."""
    more.setdefault("required", "default" not in more)
    parser.add_argument(
        "--weights",
        metavar="PRESET_OR_FILE",
        help="preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
        f"{MODEL_SUFFIX} file or {WEIGHTS_SUFFIX} file{note}",
        **more,
    )


def add_labels(group: Any, note: str = " (default: those that come with the weights)") -> None:
    """Adds `--labels`."""
    text = "class names: a data set's name or a text file with one per line"
    option(group, "--labels", "NAME_OR_FILE", text + note)


def add_top(group: Any, default: int = 5, what: str = "classes to name") -> None:
    """Adds `--top`."""
    option(group, "--top", "N", what, default)


def add_model(group: Any) -> None:
    """Adds `--model`."""
    choice(group, "--model", sorted(MODELS), f"architecture (default: {DEFAULT_MODEL})")


def add_segments(group: Any, default: object = DEFAULT_SEGMENTS) -> None:
    """Adds `--segments`, which is `None` unless it is given."""
    option(group, "--segments", "N", f"segments per video (default: {default})")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what weights may leave open: the model that they are for, and how its clips are cut."""
    bare = parser.add_argument_group(
        f"for a {WEIGHTS_SUFFIX} file of another program, or a data set's name",
        "neither of which says what model it is for",
    )
    add_model(bare)
    add_segments(bare)
    option(bare, "--classes", "N", "number of classes (default: as many as there are labels)")
    clips = parser.add_argument_group("clips, if they are not cut as the weights say")
    text = "size of a clip's frames: a side, or height and width, such as 112 or 96x128"
    option(clips, "--size", SIZE_METAVAR, text, dest="clip_size")
    text = "size that a video's short side is resized to before the clip is cut out (default with "
    option(clips, "--short-side", "PIXELS", f"{text}--size: 256 for 224, others in proportion)")


def parse_size(name: str, text: str) -> tuple[int, int]:
    """Height and width of `112` or `96x128`; a `ValueError` names the option."""
    sides = _SIZE.fullmatch(text)
    if sides is None:
        raise ValueError(
            f"{name} is a number of pixels, or HEIGHTxWIDTH such as 256x256. Received: {text!r}"
        )
    return int(sides[1]), int(sides[2] or sides[1])


# === Videos ===


def add_list_arguments(
    parser: argparse.ArgumentParser, has_model: bool = False, nargs: str | None = None
) -> None:
    """Adds what names one list of records.

    Args:
        parser: The command's.
        has_model: Whether the command loads a model, which knows its classes.
        nargs: For a command that finds the list itself.
    """
    parser.add_argument("list", metavar="LIST", nargs=nargs, help=PACKED_HELP)
    group = parser.add_argument_group("list of videos")
    add_reading_options(group, has_model)
    option(group, "--split", "NAME", f"part of the data set that LIST describes: {SPLIT_HELP}")


def add_reading_options(group: Any, has_model: bool = False) -> None:
    """Adds what lists have in common that one command reads."""
    formats = f"format of the list: {', '.join(RECORD_FORMATS)} (default: detected)"
    option(group, "--format", "FORMAT", formats, choices=RECORD_FORMATS)
    text = "folder that relative paths start from (default: the list's own)"
    option(group, "--root", "DIR", text)
    add_labels(group, "")
    option(group, "--fold", "N", "number of the HMDB51 split to use (default: 1)")
    if not has_model:
        text = "number of classes of a list whose labels are numbers without names (default: the "
        option(group, "--classes", "N", f"{text}largest label plus one)")
    switch(group, "--skip-missing", "leave out videos whose files are missing")


def is_packed(path: str) -> bool:
    """Whether a list is a folder that `keras-tdn pack` wrote."""
    from keras_tdn.data.packing.index import INDEX_FILE

    return os.path.isfile(os.path.join(path, INDEX_FILE))


def load_list(args: argparse.Namespace, **options: Any) -> RecordList:
    """Returns the records that the arguments name, packed ones too.

    Args:
        args: Of the command.
        **options: Those of `load_records` that the arguments leave open.
    """
    if is_packed(args.list):
        from keras_tdn.data import load_packed

        return load_packed(args.list)
    from keras_tdn.data.records.load import load_records

    return load_records(
        args.list,
        **{
            "format": args.format,
            "root": args.root,
            "labels": args.labels,
            "num_classes": args.classes,
            "split": args.split,
            "fold": args.fold,
            "skip_missing": args.skip_missing,
            **options,
        },
    )


def load_list_for(model: keras.Model, args: argparse.Namespace) -> RecordList:
    """The list, with the model's classes in the model's order unless others are named."""
    labels = args.labels
    if labels is None and getattr(model, "labels", None) is not None:
        labels = list(model.labels)
    # Labels are compared with the model's classes, however few of them occur.
    return load_list(args, labels=labels, believe_labels=True)


# === Views ===


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says which views are taken and how they are averaged."""
    text = "clips of each video times crops of each clip (1, 3 or 10 crops); 1x1 is the centre, "
    option(parser, "--views", "CLIPSxCROPS", f"{text}10x3 are the paper's thirty views", "1x1")
    text = "how several clips are placed in the video"
    choice(parser, "--clip-mode", CLIP_MODES, text, "uniform")
    text = "place three crops side by side in portrait videos too, where they coincide, as the "
    switch(parser, "--always-across", f"{text}paper's authors do")
    text = "size of the crops (default: that of the model's clips; for three crops, the short side)"
    option(parser, "--crop-size", SIZE_METAVAR, text)
    text = "what is averaged over views"
    choice(parser, "--average", ("softmax", "logits"), text, "softmax")


def views_of(args: argparse.Namespace) -> ViewSpec:
    """Returns the views that the arguments name; a `ValueError` says that there are none such."""
    match = _VIEWS.fullmatch(args.views)
    if match is None:
        raise ValueError(
            f"--views is CLIPSxCROPS, such as 1x1, 1x3 or 10x3. Received: {args.views!r}"
        )
    return ViewSpec(
        num_clips=int(match[1]),
        num_crops=int(match[2]),
        clip_mode=args.clip_mode,
        always_across=args.always_across,
        crop_size=None if args.crop_size is None else parse_size("--crop-size", args.crop_size),
    )


# === A run ===


def add_output(group: Any, what: str, value: str = "DIR", required: bool = True) -> None:
    """Adds `--output`."""
    option(group, "--output", value, what, required=required)


def add_placed_output(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds `OUT`, and `--output OUT` as another way to say it: see `CommandParser`."""
    parser.add_argument("out", metavar="OUT", nargs="?", help=what)
    add_output(parser, "the same as OUT", "OUT", required=False)


def add_earlier_results(parser: Any, what: str, overwrite: bool = True) -> None:
    """Adds `--resume` and `--overwrite`, which exclude each other.

    Args:
        parser: The command's.
        what: What is continued, as in "an evaluation".
        overwrite: Whether the command can replace results.
    """
    group = parser.add_mutually_exclusive_group()
    switch(group, "--resume", f"continue {what} that was stopped, from what is in the folder")
    if overwrite:
        add_overwrite(group)


def add_overwrite(group: Any, what: str = "the results in the folder") -> None:
    """Adds `--overwrite`."""
    switch(group, "--overwrite", f"replace {what}")


def add_retry_failures(group: Any) -> None:
    """Adds `--retry-failures`."""
    switch(group, "--retry-failures", "with --resume: try again the videos that failed before")


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how videos are read and scored."""
    option(parser, "--batch-size", "N", "views scored at once", 8)
    text = "videos read side by side (default: one per processor, at most 8)"
    option(parser, "--workers", "N", text)
    text = "read videos in processes of their own, so that a bad file crashes or hangs only one"
    switch(parser, "--in-processes", text)
    text = "time that one video may take with --in-processes (default: 300)"
    option(parser, "--time-limit", "SECONDS", text)
    add_seed(parser)


def scoring_of(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what `add_scoring_arguments` added, as keywords of `evaluate` and `label_videos`."""
    if args.time_limit is not None and not args.in_processes:
        raise ValueError("--time-limit is for --in-processes: a thread cannot be ended. Pass both.")
    return {
        "batch_size": args.batch_size,
        "num_workers": args.workers,
        "in_processes": args.in_processes,
        **({} if args.time_limit is None else {"time_limit": args.time_limit}),
    }


def add_seed(group: Any) -> None:
    """Adds `--seed`."""
    option(group, "--seed", "N", "random seed", 0)


def add_processes(group: Any) -> None:
    """Adds `--processes`."""
    option(group, "--processes", "N", "number of processes (default: one per core)")


def add_max_failure_share(group: Any) -> None:
    """Adds `--max-failure-share`."""
    text = "stop if a larger share of the videos cannot be read"
    option(group, "--max-failure-share", "SHARE", text, 0.1)


def add_window(group: Any, note: str = "") -> None:
    """Adds `--window`."""
    text = f"length of a window{note} (default: that of the data set, which the labels name)"
    option(group, "--window", "SECONDS", text)


def add_json(group: Any, what: str) -> None:
    """Adds `--json`."""
    switch(group, "--json", f"print {what}")


def add_ensemble_method(group: Any, name: str, what: str, default: str | None = None) -> None:
    """Adds how the scores of several models are joined."""
    text = "mean of probabilities, or the paper authors' sum of logits clipped at zero"
    note = "" if default else " (default: softmax)"
    choice(group, name, ENSEMBLES, f"{what}: {text}{note}", default)


def add_beam(parser: argparse.ArgumentParser) -> None:
    """Adds `--beam`, which takes what remains of the command line."""
    parser.add_argument(
        "--beam",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help="run as an Apache Beam pipeline with these options; must come last: --beam "
        "--runner=FlinkRunner ... (needs the extra [beam])",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Adds `--quiet`."""
    switch(parser, "--quiet", "do not show how far the run is")
